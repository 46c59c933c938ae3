"""A workload's state from the history that Prometheus has of it."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from autoscaler.controller.workload import ObjectKey, Workload
from autoscaler.core.history import lengthened, replayed
from autoscaler.core.node_head_start import Ahead
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from autoscaler.errors import one_line
from autoscaler.sources.ranges import Failure, MetricsSource, RangeAnswer, RangeRequest, SourceError
from forecasting.clock import DAY_S
from forecasting.lead_features import demand_of
from forecasting.lead_history import LeadHistory
from forecasting.series import FloatArray

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A history to ask for.

    Attributes:
        key, uid: of the object that it is for.
        spec: what to plan with.
        requests: unit -> the request for its demand.
        ahead: what to plan nodes with; None where they aren't kept warm.
        remembered: unit -> what the state before knows of the same bins, work per second, shape (points,), NaN where it
            doesn't; a unit is absent where it knows nothing. A server that lost its past doesn't take it from us.
    """

    key: ObjectKey
    uid: str
    spec: Spec
    requests: Mapping[str, RangeRequest]
    ahead: Spec | None = None
    remembered: Mapping[str, FloatArray] = field(default_factory=dict)

    def is_for(self, workload: Workload) -> bool:
        """Whether it is for this very object, and asks what the object asks now: edits come while a job is done."""
        queries, bins = workload.queries, _bins_asked(workload, self.spec.bin_s)
        asked = {unit: (each.query, each.endpoint, each.headers, each.points) for unit, each in self.requests.items()}
        asks = {unit: (query, queries.endpoint, queries.headers, bins) for unit, query in queries.demand.items()}
        return self.uid == workload.autoscaler.metadata.uid and asked == asks

    def failed(self, failure: SourceError) -> Rebuilt:
        """What becomes of it where it can't be done."""
        start_s = next(iter(self.requests.values())).start_s - self.spec.bin_s
        return self.without_history(start_s, failure)

    def without_history(self, start_s: float, failure: SourceError | None = None, *, warned: str = "") -> Rebuilt:
        """What becomes of it without a single known bin."""
        ahead = Ahead(self.ahead, State.start(self.ahead)) if self.ahead is not None else None
        return Rebuilt(self, State.start(self.spec), start_s, ahead=ahead, failure=failure, warned=warned)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a job.

    Attributes:
        job: which.
        state: to go on with; without history where a request failed.
        start_s: start of the history's first bin.
        demand_rps: unit -> the history that the state was made of, shape (n,); empty where a request failed.
        ahead: to go on with for nodes; None where they aren't kept warm.
        failure: the first request that failed; None where all were answered.
        warned: what the server warned of as it left parts out that nobody remembers; '' where it left out none.
    """

    job: Job
    state: State
    start_s: float
    demand_rps: Mapping[str, FloatArray] = field(default_factory=dict)
    ahead: Ahead | None = None
    failure: SourceError | None = None
    warned: str = ""

    @property
    def adds_nothing(self) -> bool:
        """Whether no bin is known that wasn't remembered."""
        known = sum(int(np.count_nonzero(~np.isnan(values))) for values in self.demand_rps.values())
        return known <= sum(int(np.count_nonzero(~np.isnan(values))) for values in self.job.remembered.values())


def job_for(workload: Workload, spec: Spec, now_s: float, *, ahead: Spec | None = None) -> Job:
    """The history of a workload up to, and without, the bin that ended last: that one is the next decision's."""
    bin_s = spec.bin_s
    last_s = math.floor(now_s / bin_s) * bin_s - bin_s
    bins = _bins_asked(workload, bin_s)
    requests = {
        unit: workload.queries.request(query, start_s=last_s - (bins - 1) * bin_s, stop_s=last_s, step_s=bin_s)
        for unit, query in workload.queries.demand.items()
    }
    remembered = _remembered(workload, requests, now_s)
    return Job(workload.key, workload.autoscaler.metadata.uid, spec, requests, ahead, remembered)


def _bins_asked(workload: Workload, bin_s: float) -> int:
    """How far back is asked."""
    return max(1, math.floor(workload.autoscaler.spec.history / bin_s)) + _spread_bins(workload.key, bin_s)


def _remembered(workload: Workload, requests: Mapping[str, RangeRequest], now_s: float) -> dict[str, FloatArray]:
    """What the state knows of the bins that are asked for; nothing where it is of other queries, or of another time."""
    state, known = workload.state, {}
    if state is None or workload.history_edited or workload.lapsed(now_s):
        return {}
    for unit, request in requests.items():
        if unit not in state.forecasts or state.forecasts[unit].history.bin_s != request.step_s:
            continue
        history = state.forecasts[unit].history
        demand_rps = _known_rps(history)
        # Both end at even bins: the state's with the bin before the next decision's, the request's at its last point.
        later = round((history.next_start_s - request.stop_s) / request.step_s)
        kept = demand_rps[: max(0, len(demand_rps) - max(0, later))]
        demand_rps = np.append(kept, [np.nan] * max(0, -later))
        known[unit] = _last(demand_rps, request.points)
    return known


def brought_up_to(workload: Workload, rebuilt: Rebuilt) -> Rebuilt:
    """With the bins that were decided on since its history was asked for, as far as the workload knows them.

    Decided on again, they would move the queue on again too: 9 of 20 replicas were released while what they had to
    work off was still queued.
    """
    spec, before = rebuilt.job.spec, workload.state
    next_s = rebuilt.state.next_start_s
    if before is None or before.next_start_s is None or next_s is None or spec.bin_s != workload.spec.bin_s:
        return rebuilt
    bins = round((before.next_start_s - next_s) / spec.bin_s)
    if bins <= 0 or not rebuilt.demand_rps:
        return rebuilt
    known_rps = {unit: _known_rps(forecast.history) for unit, forecast in before.forecasts.items()}
    newer_rps = {unit: _last(known_rps.get(unit, np.empty(0)), bins) for unit in rebuilt.demand_rps}
    demand_rps = {unit: np.append(values, newer_rps[unit]) for unit, values in rebuilt.demand_rps.items()}
    ahead = rebuilt.ahead
    if ahead is not None:
        ahead = replace(ahead, state=lengthened(ahead.spec, ahead.state, newer_rps))
    return replace(rebuilt, state=lengthened(spec, rebuilt.state, newer_rps), demand_rps=demand_rps, ahead=ahead)


def _known_rps(history: LeadHistory) -> FloatArray:
    """Demand that is remembered, work per second, shape (n,), NaN where it is missing."""
    return demand_of(history.log_demand.rows, history.missing.rows, history.floor)


def _last(values: FloatArray, bins: int) -> FloatArray:
    """The last ones, shape (bins,); NaN in front where there are fewer."""
    last = np.full(bins, np.nan)
    count = min(len(values), bins)
    last[bins - count :] = values[len(values) - count :]
    return last


def _spread_bins(key: ObjectKey, bin_s: float) -> int:
    """Up to a day more of history, by the object's name, the same in every replica of the controller.

    Seasons are fitted anew when a history has doubled: 60 ms each, and a minute of one tick for a thousand objects
    whose histories began together.
    """
    return zlib.crc32(str(key).encode()) % max(1, round(DAY_S / bin_s))


def rebuild(source: MetricsSource, jobs: Sequence[Job]) -> list[Rebuilt]:
    """Ask for the histories of `jobs` together and make a state of each. Raises what the source raises."""
    answers = source.fetch([request for job in jobs for request in job.requests.values()])
    return [_guarded(job, {unit: answers[request] for unit, request in job.requests.items()}) for job in jobs]


def defect(job: Job, problem: Exception) -> Rebuilt:
    """A job that a defect of the program spoilt: it is logged, tried again, and spoils no other."""
    log.error("the history of %s", job.key, exc_info=problem)
    said = f"the history of {job.key} can't be used: {type(problem).__name__}: {problem}"
    return job.failed(SourceError(Failure.BAD_ANSWER, one_line(said)))


def _guarded(job: Job, answers: Mapping[str, RangeAnswer | SourceError]) -> Rebuilt:
    try:
        return _rebuilt(job, answers)
    except Exception as problem:
        return defect(job, problem)


def _rebuilt(job: Job, answers: Mapping[str, RangeAnswer | SourceError]) -> Rebuilt:
    """A state of the answers, from the first bin that is known; one without history where none is."""
    demand_rps: dict[str, FloatArray] = {}
    warnings: dict[str, None] = {}
    for unit, answer in answers.items():
        if isinstance(answer, SourceError):
            return job.failed(answer)
        remembered = job.remembered.get(unit)
        demand_rps[unit] = answer.values
        if remembered is not None:
            demand_rps[unit] = np.where(np.isnan(answer.values), remembered, answer.values)
        # Of 10,000 points that came with a warning all are missing; where none is missing it took nothing away.
        if np.isnan(demand_rps[unit]).any():
            warnings |= dict.fromkeys(answer.warnings)
    warned = "; ".join(warnings)
    start_s = next(iter(job.requests.values())).start_s - job.spec.bin_s
    known = np.flatnonzero(~np.isnan(np.fmax.reduce(list(demand_rps.values()))))
    if len(known) == 0:
        return job.without_history(start_s, warned=warned)
    start_s += int(known[0]) * job.spec.bin_s
    demand_rps = {unit: values[known[0] :] for unit, values in demand_rps.items()}
    state = replayed(job.spec, start_s=start_s, demand_rps=demand_rps)
    ahead = None
    if job.ahead is not None:
        ahead = Ahead(job.ahead, replayed(job.ahead, start_s=start_s, demand_rps=demand_rps))
    return Rebuilt(job, state, start_s, demand_rps, ahead, warned=warned)
