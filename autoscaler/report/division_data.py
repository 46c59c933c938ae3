"""What the script of a group's page draws, division by division, as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autoscaler.backtest.cluster import LATE_RS_MIN
from autoscaler.backtest.group import Group, GroupOutcome, late_fraction
from autoscaler.report import words
from autoscaler.report.curves import BYTES_MAX, Json, fitted, group_within_points, sparse, steps, time_data
from autoscaler.report.division_curves import DivisionCurves, Held, division_curves
from autoscaler.report.group_lines import Line
from autoscaler.report.group_text import TITLES


def division_data(
    group: Group, outcomes: Sequence[GroupOutcome], lines: Sequence[Line], *, bytes_max: int = BYTES_MAX
) -> str:
    """Strict JSON of at most `bytes_max` bytes where grouping can reach that."""
    setting = group.models[0].setting
    whole = division_curves(group, outcomes, lines)
    late_bins = [np.count_nonzero(held.late_gpu_s > LATE_RS_MIN, axis=0).tolist() for held in whole.held]

    def data_of(curves: DivisionCurves) -> Json:
        return {
            **time_data(setting, curves.group, curves.demand_low, curves.demand_high),
            "missing": steps(curves.missing),
            "gpus": group.gpus,
            "lines": [{"title": line.title, "look": line.look.key} for line in lines],
            "divisions": [
                {"name": outcome.name, "title": TITLES[outcome.name], "lines": _lines(outcome, held, lines, bins)}
                for outcome, held, bins in zip(outcomes, curves.held, late_bins, strict=True)
            ],
        }

    return fitted(whole.regrouped(group_within_points(setting)), data_of, setting, bytes_max=bytes_max)


def _lines(outcome: GroupOutcome, held: Held, lines: Sequence[Line], late_bins: Sequence[int]) -> list[Json]:
    return [
        {
            "late_text": words.share(late_fraction([outcome.models[place] for place in line.places])),
            "late_bins": bins,
            "gpus": steps(gpus),
            "late_gpu_s": sparse(late_gpu_s),
        }
        for line, bins, gpus, late_gpu_s in zip(lines, late_bins, held.gpus.T, held.late_gpu_s.T, strict=True)
    ]
