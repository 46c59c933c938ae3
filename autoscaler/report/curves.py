"""A result's curves, reduced to what the page's charts can show, as plain lists for JSON.

Long traces are grouped. Whole numbers that stay the same for many bins are written as steps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.result import BacktestResult, BandArray, ForecastBand, Frontier
from autoscaler.backtest.setting import Setting
from autoscaler.report import words
from autoscaler.report.grouped_curves import Band, Curves, Reasons, Supply, grouped_curves
from autoscaler.report.palette import looks_of
from autoscaler.report.reasons import meanings
from autoscaler.report.summary import in_display_order, summarise
from autoscaler.traces.trace import DATED_FROM_S
from forecasting.series import FloatArray

Json = Mapping[str, "JsonValue"]
JsonValue = str | int | float | bool | None | Sequence["JsonValue"] | Json

POINTS_MAX = 50_000  # a group of one up to a month of minutes; a chart is about 1,000 pixels wide
BYTES_MAX = 1_200_000  # the page stays below 1.5 MB with its text, style and script


def chart_data(result: BacktestResult, *, bytes_max: int = BYTES_MAX) -> str:
    """What the page's script draws, as strict JSON of at most `bytes_max` bytes where grouping can reach that."""
    curves = grouped_curves(result, group_within_points(result.setting))
    return fitted(curves, lambda shown: _data(result, shown), result.setting, bytes_max=bytes_max)


class Regrouped(Protocol):
    """Curves with one point per `group` bins, of which fewer and fewer can be made."""

    @property
    def group(self) -> int:
        """Bins that one point stands for."""

    def regrouped(self, times: int) -> Self:
        """One point for `times` points."""


_Curves = TypeVar("_Curves", bound=Regrouped)


def group_within_points(setting: Setting) -> int:
    """Bins that one point stands for, so that the scored ones are at most POINTS_MAX points."""
    return max(1, math.ceil((len(setting) - setting.score_from_bin) / POINTS_MAX))


def fitted(curves: _Curves, data_of: Callable[[_Curves], Json], setting: Setting, *, bytes_max: int) -> str:
    """The data of curves over the scored bins as strict JSON, grouped until they are at most `bytes_max` bytes."""
    while True:
        text = json.dumps(data_of(curves), allow_nan=False, separators=(",", ":"))
        if len(text) <= bytes_max or curves.group >= len(setting) - setting.score_from_bin:
            return text
        curves = curves.regrouped(2)


def time_data(setting: Setting, group: int, demand_low: FloatArray, demand_high: FloatArray) -> Json:
    """What every chart over time needs: the points' times, and demand, its most only where a point is several bins."""
    return {
        "group": group,
        "points": len(demand_high),
        "point_s": setting.bin_s * group,
        "bin_s": setting.bin_s,
        "start_s": setting.start_s + setting.score_from_bin * setting.bin_s,
        "dated": is_dated(setting.start_s),
        "demand": {"low": _floats(demand_low), "high": _floats(demand_high) if group > 1 else None},
    }


def _data(result: BacktestResult, curves: Curves) -> Json:
    setting, group = result.setting, curves.group
    summary = summarise(result)
    looks = looks_of([row.name for row in in_display_order(result.policies)] + [row.name for row in result.frontiers])
    return {
        **time_data(setting, group, curves.demand_low, curves.demand_high),
        "late_budget": setting.late_budget,
        "late_of": "the work" if result.requests is None else "requests",
        "missing": steps(curves.missing),
        "forecast": None if result.forecast is None or curves.band is None else _band(result.forecast, curves.band),
        "reasons": None if curves.reasons is None else _reasons(curves.reasons),
        "policies": [
            {
                "name": row.name,
                "title": row.title,
                "look": looks[row.name].key,
                "marker": looks[row.name].marker,
                "hollow": f"{row.name}-best" in curves.supplies,
                "gpu_hours": _float(row.gpu_hours),
                "gpu_hours_text": words.hours(row.gpu_hours),
                "late": _float(row.late_fraction),
                "late_text": words.late_share(row.late_fraction, setting.late_budget),
                "late_bins": row.late_bins,
                "within_budget": row.within_budget,
                **_supply(curves.supplies[row.name], group),
            }
            for row in summary.policies
        ],
        "frontiers": [_frontier(row, looks[row.name].key, result.gpus_per_replica) for row in result.frontiers],
    }


def is_dated(start_s: float) -> bool:
    """Whether a trace that starts at `start_s` has wall-clock times, or counts seconds from some start."""
    return start_s >= DATED_FROM_S


def steps(values: npt.NDArray[np.generic]) -> list[int | float]:
    """Whole numbers (n,) as a flat list of pairs: bins since the last change, new value. The first is at 0."""
    changes = np.flatnonzero(np.concatenate([np.ones(len(values[:1]), bool), values[1:] != values[:-1]]))
    gaps = np.diff(changes, prepend=0)
    return [int(number) for pair in zip(gaps, values[changes], strict=True) for number in pair]


def sparse(values: FloatArray) -> list[int | float]:
    """Mostly zero numbers (n,) as a flat list of pairs: points since the last one that is not zero, its value."""
    places = np.flatnonzero(values)
    gaps = np.diff(places, prepend=0)
    return [
        number for gap, value in zip(gaps, values[places], strict=True) for number in (int(gap), float(f"{value:.3g}"))
    ]


def _band(forecast: ForecastBand, band: Band) -> Json:
    return {
        "median": _floats(band.median),
        "low": _floats(band.low),
        "high": _floats(band.high),
        "low_level": forecast.low_level,
        "high_level": forecast.high_level,
    }


def _reasons(reasons: Reasons) -> Json:
    return {"texts": [meanings(text) for text in reasons.texts], "at": steps(reasons.codes)}


def _supply(supply: Supply, group: int) -> dict[str, JsonValue]:
    return {
        "ready_low": steps(supply.ready_low) if group > 1 else None,
        "ready_high": steps(supply.ready_high),
        "loading": steps(supply.loading),
        "late_rs": sparse(supply.late_rs),
    }


def _frontier(row: Frontier, look: str, gpus_per_replica: int) -> Json:
    return {
        "name": row.name,
        "title": row.title,
        "look": look,
        "targets": _floats(row.targets),
        "gpu_hours": _floats(row.replica_hours * gpus_per_replica, digits=6),
        "late": _floats(row.late_fraction),
    }


def _floats(values: FloatArray | BandArray, digits: int = 4) -> list[float | None]:
    return [_float(value, digits) for value in values.tolist()]


def _float(value: float | None, digits: int = 6) -> float | None:
    """Rounded to `digits` figures; None for what is missing: JSON has no NaN."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")
