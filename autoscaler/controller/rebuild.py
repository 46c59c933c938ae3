"""A workload's state from the history that Prometheus has of it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from autoscaler.controller.workload import ObjectKey, Workload
from autoscaler.core.history import replayed
from autoscaler.core.spec import Spec
from autoscaler.core.state import State
from autoscaler.sources.ranges import MetricsSource, RangeAnswer, RangeRequest, SourceError
from forecasting.lead_features import DAY_S
from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class Job:
    """A history to ask for.

    Attributes:
        key, uid: of the object that it is for.
        spec: what to plan with.
        requests: unit -> the request for its demand.
    """

    key: ObjectKey
    uid: str
    spec: Spec
    requests: Mapping[str, RangeRequest]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a job.

    Attributes:
        job: which.
        state: to go on with; without history where a request failed.
        start_s: start of the history's first bin.
        demand_rps: unit -> the history that the state was made of, shape (n,); empty where a request failed.
        failure: the first request that failed; None where all were answered.
    """

    job: Job
    state: State
    start_s: float
    demand_rps: Mapping[str, FloatArray] = field(default_factory=dict)
    failure: SourceError | None = None


def job_for(workload: Workload, spec: Spec, now_s: float) -> Job:
    """The history of a workload up to, and without, the bin that ended last: that one is the next decision's."""
    bin_s = spec.bin_s
    last_s = math.floor(now_s / bin_s) * bin_s - bin_s
    bins = max(1, math.floor(workload.autoscaler.spec.history / bin_s)) + _spread_bins(workload.key, bin_s)
    requests = {
        unit: workload.queries.request(query, start_s=last_s - (bins - 1) * bin_s, stop_s=last_s, step_s=bin_s)
        for unit, query in workload.queries.demand.items()
    }
    return Job(workload.key, workload.autoscaler.metadata.uid, spec, requests)


def _spread_bins(key: ObjectKey, bin_s: float) -> int:
    """Up to a day more of history, by the object's name, the same in every replica of the controller.

    Seasons are fitted anew when a history has doubled: 60 ms each, and a minute of one tick for a thousand objects
    whose histories began together.
    """
    return zlib.crc32(str(key).encode()) % max(1, round(DAY_S / bin_s))


def rebuild(source: MetricsSource, jobs: Sequence[Job]) -> list[Rebuilt]:
    """Ask for the histories of `jobs` together and make a state of each."""
    answers = source.fetch([request for job in jobs for request in job.requests.values()])
    return [_rebuilt(job, {unit: answers[request] for unit, request in job.requests.items()}) for job in jobs]


def _rebuilt(job: Job, answers: Mapping[str, RangeAnswer | SourceError]) -> Rebuilt:
    """A state of the answers, from the first bin that is known; one without history where none is."""
    request = next(iter(job.requests.values()))
    start_s = request.start_s - job.spec.bin_s
    demand_rps: dict[str, FloatArray] = {}
    for unit, answer in answers.items():
        if isinstance(answer, SourceError):
            return Rebuilt(job, State.start(job.spec), start_s, failure=answer)
        demand_rps[unit] = answer.values
    known = np.flatnonzero(~np.isnan(np.fmax.reduce(list(demand_rps.values()))))
    if len(known) == 0:
        return Rebuilt(job, State.start(job.spec), start_s)
    start_s += known[0] * job.spec.bin_s
    demand_rps = {unit: values[known[0] :] for unit, values in demand_rps.items()}
    return Rebuilt(job, replayed(job.spec, start_s=start_s, demand_rps=demand_rps), start_s, demand_rps)
