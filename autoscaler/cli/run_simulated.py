"""`headstart run --simulate`: the live loop against a simulated cluster, told line by line as it decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from autoscaler.cli.counts import read_counts
from autoscaler.cli.gaps import warn_of_simulated_gaps
from autoscaler.cli.output import stdout_console
from autoscaler.cli.params import Capacity, capacity_by_unit
from autoscaler.errors import HeadstartError, UsageError

if TYPE_CHECKING:
    from autoscaler.api.v1alpha1 import PredictiveAutoscaler
    from autoscaler.controller.simulated import Served
    from autoscaler.controller.workload import Workload
    from autoscaler.core.load_latency import LoadLatency
    from autoscaler.telemetry.line_writer import LineWriter
    from autoscaler.telemetry.metrics import Metrics
    from autoscaler.traces.trace import Trace

_UNIT = "requests"
_REPLICAS_MAX = 100_000
_PRIOR_LEVEL = 0.9
# What a user writes in an object stands on the command line, or follows from the trace.
_STATED_BY = {
    "spec.interval": "--simulate: the width of the trace's bins, at which it is decided",
    "spec.objective.maxWait": "--max-wait",
    "spec.objective.lateBudget": "--late-budget",
    "spec.loadLatency.prior": "--load-latency",
}


def run_simulated(
    path: Path,
    *,
    capacity: list[Capacity] | None,
    load_latency: LoadLatency,
    max_wait_s: float,
    late_budget: float,
    speed: float,
    record: Path | None,
    stop: Event,
) -> None:
    """Run the controller over a trace, and say each change of replicas and why."""
    from importlib.metadata import version

    from autoscaler.backtest.from_trace import arriving_rs, check_peak
    from autoscaler.controller.clock import VirtualClock
    from autoscaler.controller.simulate import simulate, start_of
    from autoscaler.controller.tell import Teller
    from autoscaler.telemetry.log import Log
    from autoscaler.telemetry.metrics import Metrics

    if not capacity:
        raise UsageError("--capacity: is missing; give the requests per second that one replica sustains")
    capacity_rps = capacity_by_unit(capacity, _UNIT)
    trace = read_counts(path, tuple(capacity_rps))
    warn_of_simulated_gaps(trace)
    check_peak(arriving_rs(trace, capacity_rps), trace.bin_s, replicas_max=_REPLICAS_MAX)
    autoscaler = _autoscaler(trace, capacity_rps, load_latency, max_wait_s=max_wait_s, late_budget=late_budget)
    console = stdout_console()
    clock = VirtualClock(start_of(trace), speed=speed)

    def show(workload: Workload) -> None:
        line = _line(workload)
        if line:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    metrics = Metrics(version=version("headstart-gpu"), now_s=clock.now_s)
    with _recording(record, metrics) as recording:
        log = Log(lambda line: console.print(line, highlight=False, markup=False))
        teller = Teller(metrics, log, recording=recording)
        served = simulate(autoscaler, trace, load_latency, clock=clock, teller=teller, stop=stop, on_tick=show)
        console.print(_summary(served, trace, max_wait_s=max_wait_s), highlight=False)


@contextmanager
def _recording(path: Path | None, metrics: Metrics) -> Iterator[LineWriter | None]:
    """What appends to the recording. HeadstartError at the end where lines are lacking: it couldn't be replayed."""
    from autoscaler.telemetry.line_writer import LineWriter
    from autoscaler.telemetry.recording import appending

    if path is None:
        yield None
        return
    lost: list[Path] = []

    def lose() -> None:
        metrics.line_dropped()
        lost.append(path)

    with appending(path) as descriptor:
        writer = LineWriter(descriptor, on_drop=lose)
        try:
            yield writer
        finally:
            writer.close()
    if lost:
        raise HeadstartError(f"{path}: {len(lost):,} lines couldn't be written, as on a full disk; record it again")


def _autoscaler(
    trace: Trace,
    capacity_rps: dict[str, float],
    load_latency: LoadLatency,
    *,
    max_wait_s: float,
    late_budget: float,
) -> PredictiveAutoscaler:
    """The object that a user would write; its queries are the trace's units. UsageError where none can be so."""
    from pydantic import ValidationError

    from autoscaler.api.problems import path_text, problems_of
    from autoscaler.api.scalars import format_duration, format_share
    from autoscaler.api.v1alpha1 import API_VERSION, KIND, PredictiveAutoscaler

    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "simulated", "namespace": "simulated"},
        "spec": {
            "scaleTargetRef": {"name": "simulated"},
            "mode": "Scale",
            "minReplicas": 0,
            "maxReplicas": _REPLICAS_MAX,
            "interval": format_duration(trace.bin_s),
            "history": "336h",
            "objective": {"maxWait": format_duration(max_wait_s), "lateBudget": format_share(late_budget)},
            "demand": [{"unit": unit, "query": unit, "capacity": each} for unit, each in capacity_rps.items()],
            "loadLatency": {"prior": format_duration(load_latency.quantile_s(_PRIOR_LEVEL))},
        },
    }
    try:
        return PredictiveAutoscaler.from_manifest(manifest)
    except ValidationError as error:
        problem = problems_of(error, PredictiveAutoscaler)[0]
        place = _STATED_BY.get(path_text(problem.path), "--capacity")
        raise UsageError(f"{place}: {problem.message}") from error


def _line(workload: Workload) -> str:
    """A line where replicas changed, such as '2026-03-02 08:55  6 -> 9  9 replicas (...)'; '' elsewhere."""
    from autoscaler.api.scalars import time_text
    from autoscaler.controller.sentence import decision_sentence

    decision = workload.decision
    if decision is None or decision.desired == decision.current:
        return ""
    at = time_text(decision.now_s)[:16].replace("T", " ")
    return f"{at}  {decision.current:>3} -> {decision.desired:<3}  {decision_sentence(workload.spec, decision)}"


def _summary(served: Served, trace: Trace, *, max_wait_s: float) -> str:
    from autoscaler.report.words import hours, share

    bins = len(served.plan)
    return (
        f"{bins:,} of {len(trace):,} bins: {hours(served.replica_hours)} replica-hours, {share(served.late_share)} of "
        f"the work waited longer than {max_wait_s:g} s"
    )
