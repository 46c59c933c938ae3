"""Headstart as it comes, and with one part left out or added: what each part is worth."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.core.spec import Part
from forecasting.lead_members import DEFAULT_MEMBERS, SEASONLESS_MEMBERS

HEADSTART = "headstart"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run Headstart.

    Attributes:
        name: of its rows.
        title: for people.
        members: of its forecast.
        without: parts of the policy left out.
    """

    name: str
    title: str
    members: tuple[str, ...] = DEFAULT_MEMBERS
    without: frozenset[Part] = frozenset()

    @property
    def knows_budget(self) -> bool:
        """Whether its decisions depend on the late budget."""
        return Part.BUDGET_CONTROLLER not in self.without


VARIANTS = (
    Variant(HEADSTART, "Headstart"),
    Variant("headstart-seasonless", "Headstart without seasonality", SEASONLESS_MEMBERS),
    Variant(
        "headstart-fixed-risk",
        "Headstart without the budget controller (99 % always)",
        without=frozenset({Part.BUDGET_CONTROLLER}),
    ),
    Variant("headstart-no-rent-or-buy", "Headstart without rent-or-buy", without=frozenset({Part.RENT_OR_BUY})),
)
# Trees are grown daily, close to a second per day of history: only where they are asked for.
WITH_BOOSTED = Variant("headstart-boosted", "Headstart with boosted trees", (*DEFAULT_MEMBERS, "boosted"))
