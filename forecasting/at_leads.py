"""Headstart's own forecaster at all horizons: a lead ensemble at each step of a grid, interpolated between.

The autoscaler needs one lead and asks that ensemble directly. This one is for plots, tables and comparisons, so its
intervals are recalibrated: central ones hold what they say, for up to 4 % more loss on a wild trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.clock import UTC_ZONE
from forecasting.errors import ModelError
from forecasting.lead_ensemble import LeadEnsemble
from forecasting.lead_member import LeadMember
from forecasting.lead_members import DEFAULT_MEMBERS
from forecasting.protocol import check_levels, check_steps
from forecasting.recalibrated import RecalibratedEnsemble
from forecasting.series import FloatArray, Series
from forecasting.step_grid import IntArray, interpolate_steps, step_grid

# Half a replica where 20 are needed on average.
_FLOOR_SHARE = 0.025
_FLOOR_UNKNOWN_RPS = 1.0
# Members are weighted by the upper half of what they said, where the autoscaler, which buys replicas at the tail, goes
# by the tail alone: 3 % less loss at the next bin and 5 % an hour ahead, over 14 traces.
_LOSS_FROM = 0.5


@dataclass(frozen=True, slots=True)
class LeadForecaster:
    """Lead ensembles at steps 1, 2, 4, 8, ... and `steps_max`, or at `steps` where they are given.

    Attributes:
        steps_max: the longest step that is learned; beyond it, the forecast of this one holds.
        floor: work per second that doesn't matter; None takes 2.5 % of the mean of the history that it is fitted to,
            or 1 where there is none.
        members: names from lead_members.MEMBERS, or what starts a member for a lead in bins.
        name: short name for tables.
        steps: the steps to learn, increasing, where no others will be asked for: three take less than half the time
            of the seven up to 60. What lies between them is interpolated. None is the grid up to `steps_max`.
        time_zone: IANA name of the zone whose clocks the seasons follow.
    """

    steps_max: int
    floor: float | None = None
    members: tuple[str | Callable[[int], LeadMember], ...] = DEFAULT_MEMBERS
    name: str = "headstart"
    steps: tuple[int, ...] | None = None
    time_zone: str = UTC_ZONE

    def __post_init__(self) -> None:
        check_steps(self.steps_max)
        if self.steps is not None and (not self.steps or self.steps[0] < 1 or (np.diff(self.steps) < 1).any()):
            raise ModelError(f"steps must be at least 1 and increase, got {self.steps}")
        if self.floor is not None and not self.floor > 0:
            raise ModelError(f"floor must be positive, got {self.floor}")

    def fit(self, series: Series) -> FittedLeadForecaster:
        """See all bins of `series`, oldest first: 0.1 ms per bin and ensemble."""
        grid = step_grid(self.steps_max, per_octave=1) if self.steps is None else np.array(self.steps, np.int64)
        floor = _floor(series) if self.floor is None else self.floor
        ensembles = tuple(self._ensemble(int(step) - 1, floor, series).fit(series) for step in grid)
        return FittedLeadForecaster(grid, floor, ensembles)

    def _ensemble(self, lead: int, floor: float, series: Series) -> RecalibratedEnsemble:
        members = [member if isinstance(member, str) else member(lead) for member in self.members]
        return RecalibratedEnsemble.start(
            LeadEnsemble.start(
                lead=lead,
                bin_s=series.bin_s,
                floor=floor,
                start_s=series.start_s,
                members=members,
                loss_from=_LOSS_FROM,
                time_zone=self.time_zone,
            )
        )


@dataclass(frozen=True, slots=True)
class FittedLeadForecaster:
    """An ensemble per step of the grid, all at the same origin.

    Attributes:
        grid: steps, shape (k,); step h is lead h - 1.
        floor: work per second that doesn't matter.
        ensembles: one per step.
    """

    grid: IntArray
    floor: float
    ensembles: tuple[RecalibratedEnsemble, ...]

    def update(self, value: float) -> Self:
        """See one more bin: work per second, NaN where it is missing."""
        return type(self)(self.grid, self.floor, tuple(ensemble.update(value) for ensemble in self.ensembles))

    def quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster."""
        return self._between(0, steps, levels)

    def peak_quantiles(self, steps: int, levels: npt.ArrayLike) -> FloatArray:
        """See FittedForecaster; a longer window's are not below a shorter one's."""
        return np.maximum.accumulate(self._between(1, steps, levels), axis=0)

    def _between(self, target: int, steps: int, levels: npt.ArrayLike) -> FloatArray:
        check_steps(steps)
        wanted = check_levels(levels)
        at_grid = np.array([ensemble.at_lead(wanted)[target] for ensemble in self.ensembles])
        logs = interpolate_steps(self.grid, np.log(at_grid + self.floor), steps)
        return np.maximum(np.exp(logs) - self.floor, 0.0)


def _floor(series: Series) -> float:
    known = series.values[~np.isnan(series.values)]
    return _FLOOR_SHARE * float(known.mean()) if known.any() else _FLOOR_UNKNOWN_RPS
