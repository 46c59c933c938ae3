"""What the controller says of itself: metrics, decision lines, and the recording that can be replayed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.rebuild import Rebuilt
from autoscaler.controller.step import Made
from autoscaler.controller.workload import ObjectKey, Workload, key_of
from autoscaler.core.decision import Decision, Reason
from autoscaler.errors import HeadstartError, one_line
from autoscaler.kube.facts import Target
from autoscaler.sources.ranges import Failure, RangeAnswer, SourceError
from autoscaler.telemetry.decision_line import compact, to_line
from autoscaler.telemetry.history_line import HistoryRecord, to_history_line
from autoscaler.telemetry.line_writer import LineWriter
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.record import Done, Record, Write
from autoscaler.telemetry.write_line import to_write_line

_CAUGHT_UP = Done("None", "CaughtUp", "decided late for a bin that is over", None, None)
_NOT_TRIED = Done("None", "NotTried", "", None, None)
_OF_THE_QUERY = frozenset({Failure.BAD_QUERY, Failure.TOO_MANY_SERIES})


class Teller:
    """Tells of each tick. Decision lines of replicas that don't lead say so in what was done."""

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        *,
        decisions: LineWriter | None = None,
        recording: LineWriter | None = None,
        on_decided: Callable[[Workload], object] = lambda _workload: None,
        on_tick: Callable[[Collection[ObjectKey]], object] = lambda _keys: None,
    ) -> None:
        """Where to tell it.

        Args:
            metrics: for /metrics.
            log: for what an operator should read.
            decisions: for one line per decision; None for none.
            recording: for the same lines and the histories that they stand on; None for none.
            on_decided: called with each workload that was decided on.
            on_tick: called after each tick with the objects that exist.
        """
        self._metrics = metrics
        self._log = log
        self._decisions = decisions
        self._recording = recording
        self._on_decided = on_decided
        self._on_tick = on_tick
        self._told: dict[ObjectKey, Decision] = {}

    def step(self, name: str) -> AbstractContextManager[None]:
        """Time a step of the tick."""
        return self._metrics.step(name)

    def decided(self, workload: Workload, made: list[Made], now_s: float) -> None:
        """Tell of a workload's decisions, oldest first."""
        forecast_rps = {}
        if workload.state is not None:
            forecast_rps = {unit: each.quantiles[0] for unit, each in workload.state.forecasts.items()}
        for each in made:
            record = _record(workload, each, now_s)
            is_news = self._is_news(workload.key, record)
            if is_news:
                self._write(record)
            self._metrics.decided(record, forecast_rps, counted=is_news)
        self._metrics.late(*workload.key, workload.lateness.late_share)
        if made:
            self._on_decided(workload)

    def written(self, workload: Workload, outcome: Outcome, now_s: float, *, placeholders: bool = False) -> None:
        """Tell of what was written in a later tick than its decision, whose line says what the first attempt met."""
        told = self._told.get(workload.key)
        # Of a decision that repeats one, the line of that one tells.
        decided_s = told.now_s if workload.decision is not None and told is not None else None
        write = Write(now_s, *workload.key, decided_s, _done(outcome), placeholders)
        self._write(write)
        self._metrics.written(write)

    def rebuilt(self, workload: Workload, rebuilt: Rebuilt) -> None:
        """Tell of a history that decisions stand on from now on."""
        if self._recording is not None and workload.state is not None:
            state, job = workload.state, rebuilt.job
            record = HistoryRecord(
                *job.key, job.spec, rebuilt.start_s, rebuilt.demand_rps, state.backlog_rs, state.serving, state.unseen
            )
            self._recording.write(to_history_line(record))

    def answered(self, answers: Iterable[tuple[ObjectKey, RangeAnswer | SourceError]]) -> None:
        """Count queries that failed, each with an object that asks it."""
        for key, answer in answers:
            if isinstance(answer, SourceError):
                self.prometheus_failed(key, answer)

    def prometheus_failed(self, key: ObjectKey, failure: SourceError) -> None:
        """Count, and log, one query that failed."""
        self._metrics.prometheus_failed(str(failure.failure))
        # The others are the server's: one line for all objects that miss it.
        self._log.warning(f"{key}: {failure}" if failure.failure in _OF_THE_QUERY else str(failure))

    def history_in_part(self, key: ObjectKey, warned: str) -> None:
        """Log that Prometheus left parts of a history out."""
        self._log.warning(
            f"{key}: Prometheus left parts of its history out: {one_line(warned)}; they are asked for again, and until"
            " they come seasons that only they show aren't forecast"
        )

    def api_failed(self, reason: str) -> None:
        """Count one write that failed."""
        self._metrics.api_failed("patch", reason)

    def cluster_failed(self, error: HeadstartError) -> None:
        """Count that the cluster can't be followed; the watch that can't logs it."""
        self._metrics.api_failed("watch", type(error).__name__)

    def unusable(self, autoscaler: PredictiveAutoscaler, problem: str) -> None:
        """Log that an object can't be served as it is."""
        self._log.warning(f"PredictiveAutoscaler {key_of(autoscaler)}: {problem}")

    def put_back(self, outcome: Outcome) -> None:
        """Log a bound that was put back, or wasn't."""
        if outcome.action is Action.PATCHED:
            self._log.info(outcome.message)
        elif outcome.undone:
            self._log.warning(outcome.message)

    def ticked(self, workloads: Mapping[ObjectKey, Workload], *, leads: bool) -> None:
        """A tick is over."""
        self._told = {key: decision for key, decision in self._told.items() if key in workloads}
        seen = [workload for workload in workloads.values() if not _is_unseen(workload)]
        undecided = sum(workload.decision is None for workload in seen)
        self._metrics.watched(workloads.keys(), guests=len(workloads) - len(seen), undecided=undecided)
        self._metrics.leads(leads)
        self._on_tick(workloads.keys())

    def _is_news(self, key: ObjectKey, record: Record) -> bool:
        """Whether a decision is to be told: between bins, only one that differs from the last, or that was written.

        As long as more is wanted than there is, as in mode Shadow, each tick decides the same.
        """
        decision, told = record.decision, self._told.get(key)
        repeats = told is not None and decision.desired == told.desired and _why(decision) == _why(told)
        if record.outlook.early and repeats and record.done.action != Action.PATCHED:
            return False
        self._told[key] = decision
        return True

    def _write(self, told: Record | Write) -> None:
        writers = [writer for writer in (self._decisions, self._recording) if writer is not None]
        if writers:
            line = to_line(told) if isinstance(told, Record) else to_write_line(told)
            for writer in writers:
                writer.write(line)


def _why(decision: Decision) -> frozenset[Reason]:
    return frozenset(decision.reasons) - {Reason.EARLY}


def _record(workload: Workload, made: Made, now_s: float) -> Record:
    return Record(
        time_s=now_s,
        namespace=workload.key.namespace,
        name=workload.key.name,
        mode=str(workload.autoscaler.spec.mode),
        spec=made.spec,
        observation=made.observation,
        outlook=made.outlook,
        decision=made.decision,
        done=_done(workload.outcome) if made.newest else _CAUGHT_UP,
        phases={str(phase): compact(took) for phase, took in workload.loads.phases().items()},
        placeholders=made.placeholders,
        placed=_placed(workload, made),
        fleet_unseen=_is_unseen(workload),
    )


def _is_unseen(workload: Workload) -> bool:
    return isinstance(workload.target, Target) and workload.target.unseen


def _placed(workload: Workload, made: Made) -> Done | None:
    if made.placeholders is None:
        return None
    return _done(workload.placed) if made.newest else _CAUGHT_UP


def _done(outcome: Outcome | None) -> Done:
    if outcome is None:
        return _NOT_TRIED
    return Done(str(outcome.action), outcome.reason, outcome.message, outcome.before, outcome.after)
