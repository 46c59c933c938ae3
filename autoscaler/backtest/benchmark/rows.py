"""The rows of a benchmark, and the columns in which Parquet keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One policy in one case, over the scored bins.

    Attributes:
        policy: its name: 'headstart', 'hpa', 'reactive-best', ...
        title: for people.
        hindsight: whether it used what nobody could have known.
        family: which reactive family was the best one, where the policy is the best of several; else None.
        target: its target, or the size of a static fleet; None where it has none.
        replica_hours, late_fraction, late_bins, mean_utilisation: see Outcome; None, None, None and None where no plan
            of the kind keeps the limit of lateness.
        late_after_day: late share without the first scored day; None where no more than that is scored.
        optimum_hours: replica-hours of the optimum in hindsight, down to which a gap is measured.
        rival_family, rival_target, rival_hours: the best reactive plan that is late at most as often, of Headstart's
            rows; None where there is none (see gap.py).
        static_hours: replica-hours of the static fleet of the best size that is late at most as often.
        gap_closed, gap_closed_with_static: see gap.py; None where there is no gap.
        weights: member of the forecast -> its mean weight, of Headstart's rows.
        seconds: processor time that it took, of one thread.
    """

    policy: str
    title: str
    hindsight: bool
    replica_hours: float | None
    late_fraction: float | None
    late_bins: int | None
    mean_utilisation: float | None
    late_after_day: float | None
    optimum_hours: float | None
    seconds: float
    family: str | None = None
    target: float | None = None
    rival_family: str | None = None
    rival_target: float | None = None
    rival_hours: float | None = None
    static_hours: float | None = None
    gap_closed: float | None = None
    gap_closed_with_static: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def cost_over_rival(self) -> float | None:
        """Replica-hours over those of the best reactive plan at equal lateness; None where there is none."""
        if self.replica_hours is None or not self.rival_hours:
            return None
        return self.replica_hours / self.rival_hours

    @property
    def cost_over_optimum(self) -> float | None:
        """Replica-hours over the optimum's; None where one of them is nothing."""
        if self.replica_hours is None or not self.optimum_hours:
            return None
        return self.replica_hours / self.optimum_hours
