"""The members of the lead ensemble by name."""

from __future__ import annotations

from collections.abc import Callable

from forecasting.boosted import Boosted
from forecasting.clock import UTC_ZONE
from forecasting.errors import ModelError
from forecasting.lead_features import SEASONAL_FEATURES
from forecasting.lead_member import LeadMember
from forecasting.lead_naive import NAIVE_MEMBERS, NaiveMember
from forecasting.lead_regression import FEATURE_SETS, LeadRegression
from forecasting.point_member import PointMember
from forecasting.profile import SeasonalProfile

_OTHERS: dict[str, Callable[[int, float, str], LeadMember]] = {
    "seasonal-profile": lambda lead, bin_s, time_zone: PointMember.start(
        SeasonalProfile(lead_s=max(1, lead) * bin_s, time_zone=time_zone), lead=lead
    ),
    "boosted": lambda lead, *_: Boosted.start(lead=lead),
}

MEMBERS = (*FEATURE_SETS, *NAIVE_MEMBERS, *_OTHERS)

# The profile cut the loss by 16 to 20 % on the taxi trace and by 1 % on most, for 5 us a bin. Growing the boosted
# trees takes close to a second per day of history: they join where they are asked for. A third regression takes 15 us
# and changes the loss by less than 0.5 %.
DEFAULT_MEMBERS = ("regression", "regression-small", "seasonal-profile", *NAIVE_MEMBERS)

# Those that know no season.
SEASONLESS_MEMBERS = (
    *(name for name, columns in FEATURE_SETS.items() if SEASONAL_FEATURES.isdisjoint(columns)),
    *NAIVE_MEMBERS,
)


def start_member(name: str, *, lead: int, bin_s: float, time_zone: str = UTC_ZONE) -> LeadMember:
    """A member that has seen nothing.

    Args:
        name: one of MEMBERS; ModelError on another.
        lead: bins between the next bin and the target.
        bin_s: width of a bin in seconds.
        time_zone: IANA name of the zone whose clocks the seasons follow.
    """
    if name in FEATURE_SETS:
        return LeadRegression.start(name, lead=lead)
    if name in NAIVE_MEMBERS:
        return NaiveMember.start(name, lead=lead)
    if name not in _OTHERS:
        raise ModelError(f"there is no member {name!r}: choose from {', '.join(MEMBERS)}")
    return _OTHERS[name](lead, bin_s, time_zone)
