"""What is asked of Prometheus for the bins that ended, and what the answers say of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.controller.bin_data import BinData, EngineBin
from autoscaler.controller.workload import Workload
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError

# The reason where the server answered that there is no value.
NO_DATA = "NoData"
# With steps below 1m VictoriaMetrics answers for points younger than 30 s what the point before has, and nothing where
# there is none before. Of a single point the step says nothing else.
_LONE_STEP_S = 60.0
# Bins by a clock that is behind are of long ago: set back by six hours, it released 7 of 11 replicas at noon.
_BEHIND_S_MAX = 60.0
# Of bins by a clock that is ahead the end isn't there yet: of a rate over 1m, 10 s are a sixth.
_AHEAD_S_MAX = 10.0

Answers = Mapping[RangeRequest, RangeAnswer | SourceError]


@dataclass(frozen=True, slots=True)
class Pull:
    """Requests for the bins of one workload that end at `ends_s`.

    Attributes:
        ends_s: ends of the bins, oldest first.
        demand: unit -> request, for each unit that is planned with; None where an edit took its query away.
        engine: field of EngineBin -> request.
        early: whether the last bin isn't over: it is the time of one bin before `ends_s`.
    """

    ends_s: tuple[float, ...]
    demand: Mapping[str, RangeRequest | None]
    engine: Mapping[str, RangeRequest]
    early: bool = False

    @property
    def requests(self) -> list[RangeRequest]:
        """All of them."""
        return [*(request for request in self.demand.values() if request is not None), *self.engine.values()]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What the answers said.

    Attributes:
        bins: one per bin asked for, oldest first.
        reason: why the newest bin's demand is unknown: a Failure, or NO_DATA where all was answered; '' where it is
            known.
        message: the same in one line.
        early: as in Pull.
    """

    bins: tuple[BinData, ...]
    reason: str
    message: str
    early: bool = False


def pull_for(workload: Workload, ends_s: tuple[float, ...], *, early: bool = False) -> Pull:
    """The requests for bins that ended, or for one that isn't over."""
    step_s = workload.spec.bin_s if len(ends_s) > 1 else max(workload.spec.bin_s, _LONE_STEP_S)
    queries = workload.queries
    engine = {
        "waiting": queries.queue_length,
        "running": queries.running,
        "kv_cache_usage": queries.kv_cache_usage,
        "completed_rps": queries.completions,
        "gpu_utilization": queries.gpu_utilization,
    }

    def request(query: str | None) -> RangeRequest | None:
        if query is None:
            return None
        return queries.request(query, start_s=ends_s[0], stop_s=ends_s[-1], step_s=step_s)

    return Pull(
        ends_s,
        {unit: request(queries.demand.get(unit)) for unit in workload.spec.capacity_rps},
        {name: asked for name, query in engine.items() if (asked := request(query)) is not None},
        early,
    )


def read(pull: Pull, answers: Answers) -> Pulled:
    """The bins; what wasn't answered, or is of another time than this clock's, is NaN."""
    answers = {request: _by_the_clock(answers[request]) for request in pull.requests}
    bins = tuple(
        BinData(
            end_s,
            {unit: _value(answers, request, k) for unit, request in pull.demand.items()},
            EngineBin(**{name: _value(answers, request, k) for name, request in pull.engine.items()}),
        )
        for k, end_s in enumerate(pull.ends_s)
    )
    unknown = [told for unit, request in pull.demand.items() if (told := _why_unknown(unit, request, answers))]
    # Of an outage it matters whether all was answered.
    reason, message = min(unknown, key=lambda told: told[0] == NO_DATA, default=("", ""))
    return Pulled(bins, reason, message, pull.early)


def _by_the_clock(answer: RangeAnswer | SourceError) -> RangeAnswer | SourceError:
    """The answer, unless the server's clock says that it is of another time than the one meant."""
    if isinstance(answer, SourceError):
        return answer
    behind_s = answer.behind_s
    if behind_s > _BEHIND_S_MAX:
        told = f"{behind_s:,.0f} s behind the server's, so that what it takes for now is long over"
    elif behind_s < -_AHEAD_S_MAX:
        told = f"{-behind_s:,.0f} s ahead of the server's, so that what it takes for over isn't"
    else:
        return answer
    return SourceError(Failure.CLOCK_SKEW, f"this machine's clock is {told}; nothing is released: set both by NTP")


def _why_unknown(unit: str, request: RangeRequest | None, answers: Answers) -> tuple[str, str] | None:
    """Reason and message, where the newest bin's demand in `unit` is unknown."""
    if request is None:
        message = f"there is no query for {unit} any more; the history of what is asked now is being read"
        return "DemandEdited", message
    answer = answers[request]
    if isinstance(answer, SourceError):
        return str(answer.failure), str(answer)
    if math.isnan(answer.values[-1]):
        warned = "; ".join(answer.warnings)
        return NO_DATA, warned or f"the query for {unit} has no value now: {request.query}"
    return None


def _value(answers: Answers, request: RangeRequest | None, k: int) -> float:
    answer = None if request is None else answers[request]
    return float(answer.values[k]) if isinstance(answer, RangeAnswer) else math.nan
