"""How long the replicas of one target take to load, learned from its pods' first readiness.

Pure and without a clock: each look at the pods gives the next value. What is kept is bounded: a window of samples,
and the identities of pods that exist now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Protocol, Self

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.state import LOAD_LEVEL

# Old loads tell little of a new image or another node type. The standard error of which share of loads stays within
# the 90 % quantile of 50 is 4 points.
WINDOW = 50
SAMPLES_MIN = 5
# A pod that was Ready when it was first seen may have been unready in between. One that was Ready within an hour of
# its start was hardly so.
_FIRST_READY_WITHIN_S = 3_600.0
# One load beyond ten medians is a broken node. Two among the last 50 are how this target is.
_LONE_OUTLIER = 10.0
# Times in the API are whole seconds: below a second a median says nothing.
_MEDIAN_MIN_S = 1.0


class Phase(StrEnum):
    """What a load spends its time on."""

    SCHEDULING = "Scheduling"
    STARTING = "Starting"
    READYING = "Readying"


class SeenPod(Protocol):
    """What is asked of a pod. Times are seconds since the epoch; None where it hasn't happened."""

    @property
    def uid(self) -> str:
        """Identity: another pod of the same name is another pod."""

    @property
    def created_s(self) -> float:
        """When it was created."""

    @property
    def scheduled_s(self) -> float | None:
        """When it was given a node."""

    @property
    def started_s(self) -> float | None:
        """When its first container started."""

    @property
    def ready(self) -> bool:
        """Whether it is Ready now."""

    @property
    def ready_s(self) -> float | None:
        """When it last became Ready."""

    @property
    def restarts(self) -> int:
        """Of all its containers."""

    @property
    def deleting(self) -> bool:
        """Whether it is being deleted."""

    @property
    def failed(self) -> bool:
        """Whether it is over."""

    @property
    def lapsed(self) -> bool:
        """Whether it is unready now and was Ready before."""


@dataclass(frozen=True, slots=True)
class LoadSample:
    """One first readiness, seconds.

    Attributes:
        total_s: from created to Ready.
        scheduling_s: from created to scheduled, a node's provisioning included.
        starting_s: from scheduled to the container's start: image and volumes.
        readying_s: from the container's start to Ready: weights, compilation, warm-up.
            The phases are None where the pod didn't say.
    """

    total_s: float
    scheduling_s: float | None = None
    starting_s: float | None = None
    readying_s: float | None = None


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """What is known of a target's loads.

    A pod counts once, when it is Ready for the first time: seen unready and then Ready; or Ready at first sight, if it
    didn't restart and was Ready within an hour of its start. Of the latter only those that are newer than all pods
    seen before, so that pods which vanish from sight and return don't count again.
    A pod that restarts, fails or is deleted before it is Ready doesn't count: a crash loop isn't a load. Pods that
    were deleted because they took long are therefore missing, and the distribution is that of loads that succeed.

    Attributes:
        samples: the newest WINDOW, oldest first.
        loading: uids of pods seen unready that may still count.
        settled: uids of pods that counted, or never will.
        newest_s: creation time of the newest pod seen; infinite where those that are Ready now have counted already.
    """

    samples: tuple[LoadSample, ...] = ()
    loading: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    newest_s: float = -math.inf

    @classmethod
    def restored(cls, recent_s: Sequence[float]) -> Self:
        """From the totals in the object's status, oldest first; what is no finite number >= 0 is left out.

        Pods that are Ready at the first look are taken to be among them.
        """
        totals = [total for total in recent_s if math.isfinite(total) and total >= 0][-WINDOW:]
        if not totals:
            return cls()
        return cls(samples=tuple(LoadSample(total) for total in totals), newest_s=math.inf)

    @property
    def recent_s(self) -> tuple[float, ...]:
        """The totals in seconds, oldest first: what the object's status keeps."""
        return tuple(sample.total_s for sample in self.samples)

    def with_pods(self, pods: Iterable[SeenPod]) -> Self:
        """After a look at all pods that the target has now."""
        samples: list[LoadSample] = []
        loading: set[str] = set()
        settled: set[str] = set()
        newest_s = -math.inf
        for pod in sorted(pods, key=_order):
            newest_s = max(newest_s, pod.created_s)
            if pod.uid in self.settled or pod.restarts > 0 or pod.failed or pod.deleting or pod.lapsed:
                settled.add(pod.uid)
            elif not pod.ready:
                loading.add(pod.uid)
            else:
                settled.add(pod.uid)
                if pod.uid in self.loading or (pod.created_s > self.newest_s and _plausible_at_sight(pod)):
                    samples.extend(_sample_of(pod))
        if not settled and not loading:
            newest_s = self.newest_s
        elif self.newest_s < math.inf:
            newest_s = max(newest_s, self.newest_s)
        return replace(
            self,
            samples=(*self.samples, *samples)[-WINDOW:],
            loading=frozenset(loading),
            settled=frozenset(settled),
            newest_s=newest_s,
        )

    def latency(self, prior: LoadLatency, samples_min: int = SAMPLES_MIN) -> LoadLatency:
        """Load latency as observed, or `prior` until there are `samples_min` samples, a lone outlier not among them."""
        totals = _without_lone_outlier(self.recent_s)
        if len(totals) < max(1, samples_min):
            return prior
        return LoadLatency.empirical(totals, label=f"{len(totals)} observed loads")

    def phases(self) -> dict[Phase, LoadLatency]:
        """The time of each phase as observed; those that no pod told are absent."""
        seconds = {
            Phase.SCHEDULING: [sample.scheduling_s for sample in self.samples],
            Phase.STARTING: [sample.starting_s for sample in self.samples],
            Phase.READYING: [sample.readying_s for sample in self.samples],
        }
        told = {phase: [took for took in each if took is not None] for phase, each in seconds.items()}
        return {phase: LoadLatency.empirical(each, label=str(phase)) for phase, each in told.items() if each}


def effective_latency(current: LoadLatency, learned: LoadLatency, bin_s: float) -> LoadLatency:
    """The load latency to plan with, given the one planned with until now and what was learned since.

    Each change of the lead rebuilds the forecast from history, so small ones are left: a longer lead is taken at once
    when it is a bin longer, a shorter one when it is a bin and 10 % shorter.
    """
    current_s, learned_s = current.quantile_s(LOAD_LEVEL), learned.quantile_s(LOAD_LEVEL)
    current_bins, learned_bins = (math.ceil(load_s / bin_s * (1 - 1e-12)) for load_s in (current_s, learned_s))
    longer = learned_bins > current_bins
    shorter = learned_bins < current_bins and learned_s <= 0.9 * current_s
    return learned if longer or shorter else current


def _order(pod: SeenPod) -> tuple[float, str]:
    """Oldest readiness first, so that two replicas of the controller keep the same window."""
    return (pod.ready_s if pod.ready_s is not None else math.inf, pod.uid)


def _plausible_at_sight(pod: SeenPod) -> bool:
    """Whether the readiness of a pod that was Ready at first sight is likely its first."""
    since_s = pod.started_s if pod.started_s is not None else pod.created_s
    return pod.ready_s is not None and 0.0 <= pod.ready_s - since_s <= _FIRST_READY_WITHIN_S


def _sample_of(pod: SeenPod) -> list[LoadSample]:
    """The pod's sample, or none where its times make no sense."""
    if pod.ready_s is None or not 0.0 <= pod.ready_s - pod.created_s < math.inf:
        return []
    return [
        LoadSample(
            total_s=pod.ready_s - pod.created_s,
            scheduling_s=_took_s(pod.created_s, pod.scheduled_s),
            starting_s=_took_s(pod.scheduled_s, pod.started_s),
            readying_s=_took_s(pod.started_s, pod.ready_s),
        )
    ]


def _took_s(start_s: float | None, end_s: float | None) -> float | None:
    """Seconds between two times; clocks of two machines may put them a little the wrong way round."""
    return None if start_s is None or end_s is None else max(0.0, end_s - start_s)


def _without_lone_outlier(totals_s: Sequence[float]) -> Sequence[float]:
    """All but a single load beyond ten medians."""
    if not totals_s:
        return totals_s
    limit_s = _LONE_OUTLIER * max(_MEDIAN_MIN_S, median(totals_s))
    within = [total for total in totals_s if total <= limit_s]
    return within if len(totals_s) - len(within) == 1 else totals_s
