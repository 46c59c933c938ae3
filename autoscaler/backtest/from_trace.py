"""From a trace and what the user states to the setting of a backtest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autoscaler.api.scalars import time_text
from autoscaler.backtest.rhythm import Rhythm
from autoscaler.backtest.setting import INTERVAL_S, Setting, WarmNodes
from autoscaler.core.event import NEVER_OUTSIDE, Event, outside_surges
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError, shown
from autoscaler.traces.trace import Trace, undated
from autoscaler.wording import replicas_text
from forecasting.clock import UTC_ZONE
from forecasting.series import FloatArray, linear_fill

# Beyond these a mistyped unit is likelier than a cluster, and the simulated one would run out of memory.
_LOAD_S_MAX = 30 * 86_400.0
_REPLICAS_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the user states besides the trace; see Setting for the units.

    Attributes:
        score_from: share of the trace that is history, in [0, 1).
    """

    capacity_rps: Mapping[str, float]
    load_latency: LoadLatency
    max_wait_s: float
    late_budget: float
    score_from: float
    replicas_min: int = 0
    replicas_max: int = 100_000
    start_failure_share: float = 0.0
    drain_s: float = 0.0
    seed: int = 0
    interval_s: float = INTERVAL_S
    warm_nodes: WarmNodes | None = None


def setting_of(trace: Trace, scenario: Scenario) -> Setting:
    """The setting in which `trace` is replayed under `scenario`.

    Raises:
        UsageError: the trace is shorter than one load, or the replicas' bounds are no range.
    """
    check_scenario(scenario, trace.name, trace.duration_s)
    arrivals_rs = arriving_rs(trace, scenario.capacity_rps)
    check_peak(arrivals_rs, trace.bin_s, replicas_max=_REPLICAS_MAX)
    return Setting(
        trace_name=trace.name,
        start_s=trace.start_s,
        bin_s=trace.bin_s,
        demand_rps={unit: trace.demand[unit] / trace.bin_s for unit in scenario.capacity_rps},
        capacity_rps=scenario.capacity_rps,
        arrivals_rs=arrivals_rs,
        load_latency=scenario.load_latency,
        max_wait_s=scenario.max_wait_s,
        late_budget=scenario.late_budget,
        score_from_bin=first_scored_bin(scenario.score_from, len(trace)),
        replicas_min=scenario.replicas_min,
        replicas_max=scenario.replicas_max,
        start_failure_share=scenario.start_failure_share,
        drain_s=scenario.drain_s,
        seed=scenario.seed,
        interval_s=scenario.interval_s,
        warm_nodes=scenario.warm_nodes,
    )


def with_calendar(setting: Setting, schedule: tuple[Event, ...], time_zone: str, *, dated: bool) -> Setting:
    """The setting with known events, and the time zone whose clocks demand follows; `dated` as the trace has it.

    Raises:
        UsageError: the trace counts seconds from some start, or an event asks for more replicas than are allowed.
    """
    for option, given in (("--schedule", schedule), ("--time-zone", time_zone != UTC_ZONE)):
        if given and not dated:
            raise undated(option, setting.trace_name)
    for event in schedule:
        if event.at_least > setting.replicas_max:
            raise UsageError(
                f"--schedule: {event.name} asks for at least {replicas_text(event.at_least)}, more than --max-replicas "
                f"{setting.replicas_max}; lower it or raise --max-replicas"
            )
    return replace(setting, schedule=schedule, time_zone=time_zone)


def remarks(setting: Setting, *, interval_given: bool) -> Iterator[str]:
    """What was asked for and can't be so: an interval of no whole number of bins, events that never come or always are.

    Args:
        setting: with its schedule.
        interval_given: whether the user stated the interval; the default is more than a bin or a bin, as it comes.
    """
    used_s = Rhythm(setting).every * setting.bin_s
    if interval_given and not math.isclose(used_s, setting.interval_s):
        yield (
            f"--interval: {setting.interval_s:g} s is no multiple of the bins of {setting.bin_s:g} s; "
            f"Headstart decides every {used_s:g} s"
        )
    stop_s = setting.start_s + setting.bin_s * len(setting)
    for event in setting.schedule:
        if not any(True for _ in event.windows(setting.start_s, stop_s)):
            yield (
                f"--schedule: {event.name} doesn't come within {setting.trace_name}, from {time_text(setting.start_s)} "
                f"to {time_text(stop_s)}; it changes nothing"
            )
    if not outside_surges(setting.schedule, len(setting), start_s=setting.start_s, bin_s=setting.bin_s).any():
        yield f"--schedule: events that expect more cover all of {setting.trace_name}: {NEVER_OUTSIDE}"


def check_scenario(scenario: Scenario, name: str, duration_s: float) -> None:
    """Raise UsageError where a trace of `duration_s` is too short for a load or a drain, or the bounds are no range."""
    load_s = scenario.load_latency.quantile_s(0.5)
    if duration_s < load_s:
        raise UsageError(
            f"{name}: the trace covers {duration_s:g} s, less than one load of {load_s:g} s; "
            "give a longer trace or a shorter --load-latency"
        )
    longest_s = scenario.load_latency.quantiles_s[-1]
    if longest_s > _LOAD_S_MAX:
        raise UsageError(f"--load-latency: a load of {longest_s:g} s is longer than {_LOAD_S_MAX / 86_400:g} days")
    if scenario.drain_s > duration_s:
        raise UsageError(f"--drain: {scenario.drain_s:g} s is longer than the trace, which covers {duration_s:g} s")
    if scenario.replicas_max > _REPLICAS_MAX:
        raise UsageError(
            f"--max-replicas: {shown(scenario.replicas_max)} is too many; it must be at most {_REPLICAS_MAX:,}"
        )
    if scenario.replicas_min > scenario.replicas_max:
        raise UsageError(
            f"--min-replicas {shown(scenario.replicas_min)} is above --max-replicas {scenario.replicas_max}; "
            "it must be at most that"
        )


def first_scored_bin(score_from: float, bins: int) -> int:
    """The bin at which scoring begins, at a share `score_from` of `bins`; at least one bin is scored."""
    # A share such as 0.29 of 100 bins is 28.999...; the bin meant is 29.
    return min(math.floor(score_from * bins + 1e-9), bins - 1)


def equally_long(settings: Sequence[Setting], score_from: float) -> list[Setting]:
    """Settings from their first bins on, as long as the shortest; a share `score_from` of that is history."""
    bins = min(len(setting) for setting in settings)
    return [
        replace(
            setting,
            demand_rps={unit: demand[:bins] for unit, demand in setting.demand_rps.items()},
            arrivals_rs=setting.arrivals_rs[:bins],
            score_from_bin=first_scored_bin(score_from, bins),
        )
        for setting in settings
    ]


def check_peak(arrivals_rs: FloatArray, bin_s: float, *, replicas_max: int) -> None:
    """Raise UsageError where the work of a bin, see `arriving_rs`, needs more replicas than there can be."""
    peak = float(arrivals_rs.max()) / bin_s
    if peak > replicas_max:
        raise UsageError(
            f"--capacity: the trace's peak would need {peak:.3g} replicas, more than {replicas_max:,}; "
            "give the work per second that one replica sustains"
        )


def arriving_rs(trace: Trace, capacity_rps: Mapping[str, float]) -> FloatArray:
    """Replica-seconds per bin, gaps filled linearly: the largest over the units."""
    arrivals_rs = np.zeros(len(trace))
    for unit, capacity in capacity_rps.items():
        arrivals_rs = np.maximum(arrivals_rs, linear_fill(trace.demand[unit]) / capacity)
    return arrivals_rs
