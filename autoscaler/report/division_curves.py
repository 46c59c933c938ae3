"""Who held how many GPUs, and whose work was late, over the scored bins of a division, grouped.

One point stands for several bins: of the GPUs it shows the bin in which most were held, so that those of all models
together are never more than were held at once; late work is summed, so that no late bin disappears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.group import Group, GroupOutcome
from autoscaler.backtest.setting import IntArray
from autoscaler.report.group_lines import Line
from autoscaler.report.grouped_curves import first_of_most, grouped
from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class Held:
    """One division's curves, a column per line of the chart: GPUs held, loading ones too, and late GPU-seconds."""

    gpus: IntArray
    late_gpu_s: FloatArray

    def regrouped(self, times: int) -> Held:
        """One point for `times` points."""
        return Held(self.gpus[first_of_most(self.gpus.sum(axis=1), times)], grouped(self.late_gpu_s, times, np.add))


@dataclass(frozen=True, slots=True)
class DivisionCurves:
    """All curves of a group.

    Attributes:
        group: bins that one point stands for; the last point may have fewer.
        demand_low, demand_high: of all models, in GPUs at full use.
        missing: whether a model's demand is missing in its trace.
        held: per division, in the outcomes' order.
    """

    group: int
    demand_low: FloatArray
    demand_high: FloatArray
    missing: npt.NDArray[np.bool_]
    held: Sequence[Held]

    def regrouped(self, times: int) -> DivisionCurves:
        """One point for `times` points."""
        return DivisionCurves(
            self.group * times,
            grouped(self.demand_low, times, np.fmin),
            grouped(self.demand_high, times, np.fmax),
            grouped(self.missing, times, np.logical_or),
            [held.regrouped(times) for held in self.held],
        )


def division_curves(group: Group, outcomes: Sequence[GroupOutcome], lines: Sequence[Line]) -> DivisionCurves:
    """The curves of all divisions, a point per scored bin."""
    settings = [model.setting for model in group.models]
    scored = slice(settings[0].score_from_bin, None)
    gpus = [model.gpus_per_replica for model in group.models]
    demand = np.sum(
        [each * setting.arrivals_rs[scored] / setting.bin_s for each, setting in zip(gpus, settings, strict=True)],
        axis=0,
    )
    missing = np.any([np.isnan(setting.observed_replicas[scored]) for setting in settings], axis=0)
    held = [_held(group, outcome, lines) for outcome in outcomes]
    return DivisionCurves(1, demand, demand, missing, held)


def _held(group: Group, outcome: GroupOutcome, lines: Sequence[Line]) -> Held:
    """Every bin's, one column per line."""
    gpus, late_gpu_s = [], []
    for model, found in zip(group.models, outcome.models, strict=True):
        bins = bins_of(model.setting, found.outcome)
        scored = slice(model.setting.score_from_bin, None)
        # One that leaves within a bin is paid for in part, and held for all the others.
        gpus.append(model.gpus_per_replica * np.ceil(bins.paid[scored]).astype(np.int64))
        late_gpu_s.append(model.gpus_per_replica * bins.late_rs[scored])
    return Held(
        np.stack([np.sum([gpus[place] for place in line.places], axis=0) for line in lines], axis=1),
        np.stack([np.sum([late_gpu_s[place] for place in line.places], axis=0) for line in lines], axis=1),
    )
