"""How long the replicas of one target take to load, learned from its pods' first readiness.

A pod that found no node with room waited for one: that time is part of its load, and is learned apart, for nodes can be
kept warm ahead of loads.

Pure and without a clock: each look at the pods gives the next value. What is kept is bounded: windows of samples, and
the identities of pods that exist now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Self

from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.seen_pod import SeenPod
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
# Room that another pod leaves is there within seconds, and so is that of a placeholder: pods leave it within a second,
# and the scheduler tries again within 10 s. A node with GPUs takes longer than that to boot.
NODE_WAIT_S_MIN = 20.0
# Times in the API are whole seconds: below a second a median says nothing.
_MEDIAN_MIN_S = 1.0


class Phase(StrEnum):
    """What a load spends its time on."""

    NODE = "Node"
    SCHEDULING = "Scheduling"
    STARTING = "Starting"
    READYING = "Readying"


@dataclass(frozen=True, slots=True)
class LoadSample:
    """One first readiness, seconds.

    Attributes:
        total_s: from created to Ready.
        node_s: from created to scheduled where it waited for a node, 0 where one had room.
        scheduling_s: from created to scheduled where a node had room.
        starting_s: from scheduled to the container's start: image and volumes.
        readying_s: from the container's start to Ready: weights, compilation, warm-up.
            The phases are None where the pod didn't say.
    """

    total_s: float
    node_s: float = 0.0
    scheduling_s: float | None = None
    starting_s: float | None = None
    readying_s: float | None = None

    @property
    def on_node_s(self) -> float:
        """What it takes where a node is ready."""
        return self.total_s - self.node_s


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """What is known of a target's loads.

    A pod counts once, when it is Ready for the first time: seen unready and then Ready; or Ready at first sight, if it
    didn't restart and was Ready within an hour of its start. Of the latter only those that are newer than all pods
    seen before, so that pods which vanish from sight and return don't count again.
    A pod that restarts, fails or is deleted before it is Ready doesn't count: a crash loop isn't a load. Pods that
    were deleted because they took long are therefore missing, and the distribution is that of loads that succeed.

    A pod waited for a node where it was seen unschedulable, or wasn't seen before it was scheduled, and that took
    NODE_WAIT_S_MIN. Whether a node was provisioned or a pod left one can't be told apart. These waits have a window of
    their own: loads that find a node kept warm tell nothing of how long one takes.

    Attributes:
        samples: the newest WINDOW, oldest first.
        node_waits_s: of the loads that waited for a node, the newest WINDOW, oldest first.
        loading: uids of pods seen unready that may still count.
        waiting: those of them that may have waited for a node.
        settled: uids of pods that counted, or never will.
        newest_s: creation time of the newest pod seen; infinite where those that are Ready now have counted already.
    """

    samples: tuple[LoadSample, ...] = ()
    node_waits_s: tuple[float, ...] = ()
    loading: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()
    newest_s: float = -math.inf

    @classmethod
    def restored(
        cls, recent_s: Sequence[float], recent_node_s: Sequence[float] = (), node_waits_s: Sequence[float] = ()
    ) -> Self:
        """From the object's status, oldest first; what is no finite number >= 0 is left out.

        Pods that are Ready at the first look are taken to be among them.

        Args:
            recent_s: total of each load.
            recent_node_s: what each of them waited for a node; 0 is taken where this isn't as long.
            node_waits_s: the window of waits for a node.
        """
        nodes_s = recent_node_s if len(recent_node_s) == len(recent_s) else [0.0] * len(recent_s)
        samples = [
            LoadSample(total_s, min(node_s, total_s) if _is_time(node_s) else 0.0)
            for total_s, node_s in zip(recent_s, nodes_s, strict=True)
            if _is_time(total_s)
        ]
        waits_s = tuple(wait_s for wait_s in node_waits_s if _is_time(wait_s))[-WINDOW:]
        newest_s = math.inf if samples else -math.inf
        return cls(samples=tuple(samples[-WINDOW:]), node_waits_s=waits_s, newest_s=newest_s)

    @property
    def recent_s(self) -> tuple[float, ...]:
        """The totals in seconds, oldest first: what the object's status keeps."""
        return tuple(sample.total_s for sample in self.samples)

    @property
    def recent_node_s(self) -> tuple[float, ...]:
        """What each of these loads waited for a node, in seconds; empty where none did."""
        waits_s = tuple(sample.node_s for sample in self.samples)
        return waits_s if any(waits_s) else ()

    def with_pods(self, pods: Iterable[SeenPod]) -> Self:
        """After a look at all pods that the target has now."""
        samples: list[LoadSample] = []
        loading: set[str] = set()
        waiting: set[str] = set()
        settled: set[str] = set()
        newest_s = -math.inf
        for pod in sorted(pods, key=_order):
            newest_s = max(newest_s, pod.created_s)
            waited = pod.uid in self.waiting or pod.unschedulable
            waited = waited or (pod.uid not in self.loading and pod.scheduled_s is not None)
            if pod.uid in self.settled or pod.restarts > 0 or pod.failed or pod.deleting or pod.lapsed:
                settled.add(pod.uid)
            elif not pod.ready:
                loading.add(pod.uid)
                if waited:
                    waiting.add(pod.uid)
            else:
                settled.add(pod.uid)
                if pod.uid in self.loading or (pod.created_s > self.newest_s and _plausible_at_sight(pod)):
                    samples.extend(_sample_of(pod, waited=waited))
        if not settled and not loading:
            newest_s = self.newest_s
        elif self.newest_s < math.inf:
            newest_s = max(newest_s, self.newest_s)
        return replace(
            self,
            samples=(*self.samples, *samples)[-WINDOW:],
            node_waits_s=(*self.node_waits_s, *(each.node_s for each in samples if each.node_s > 0))[-WINDOW:],
            loading=frozenset(loading),
            waiting=frozenset(waiting),
            settled=frozenset(settled),
            newest_s=newest_s,
        )

    def latency(self, prior: LoadLatency, samples_min: int = SAMPLES_MIN) -> LoadLatency:
        """Load latency as observed, or `prior` until there are `samples_min` samples, a lone outlier not among them."""
        return _learned(self.recent_s, prior, "observed loads", samples_min)

    def latency_on_node(self, prior: LoadLatency) -> LoadLatency:
        """What a load takes where a node is ready, likewise."""
        return _learned([sample.on_node_s for sample in self.samples], prior, "observed loads on a ready node")

    def node_latency(self, prior: LoadLatency, samples_min: int = SAMPLES_MIN) -> LoadLatency:
        """What a node takes, likewise."""
        return _learned(self.node_waits_s, prior, "observed waits for a node", samples_min)

    def phases(self) -> dict[Phase, LoadLatency]:
        """The time of each phase as observed; those that no pod told are absent.

        A load has either waited for a node, or was scheduled where one had room.
        """
        seconds: dict[Phase, Sequence[float | None]] = {
            Phase.NODE: self.node_waits_s,
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


def _sample_of(pod: SeenPod, *, waited: bool) -> list[LoadSample]:
    """The pod's sample, or none where its times make no sense; `waited` where it may have waited for a node."""
    if pod.ready_s is None or not 0.0 <= pod.ready_s - pod.created_s < math.inf:
        return []
    total_s, scheduling_s = pod.ready_s - pod.created_s, _took_s(pod.created_s, pod.scheduled_s)
    on_new_node = waited and scheduling_s is not None and scheduling_s >= NODE_WAIT_S_MIN
    return [
        LoadSample(
            total_s=total_s,
            node_s=min(scheduling_s, total_s) if on_new_node and scheduling_s is not None else 0.0,
            scheduling_s=None if on_new_node else scheduling_s,
            starting_s=_took_s(pod.scheduled_s, pod.started_s),
            readying_s=_took_s(pod.started_s, pod.ready_s),
        )
    ]


def _took_s(start_s: float | None, end_s: float | None) -> float | None:
    """Seconds between two times; clocks of two machines may put them a little the wrong way round."""
    return None if start_s is None or end_s is None else max(0.0, end_s - start_s)


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0


def _learned(seconds: Sequence[float], prior: LoadLatency, of_what: str, samples_min: int = SAMPLES_MIN) -> LoadLatency:
    """The times as observed, or `prior` until there are `samples_min`, a lone outlier not among them."""
    within_s = _without_lone_outlier(seconds)
    if len(within_s) < max(1, samples_min):
        return prior
    return LoadLatency.empirical(within_s, label=f"{len(within_s)} {of_what}")


def _without_lone_outlier(totals_s: Sequence[float]) -> Sequence[float]:
    """All but a single load beyond ten medians."""
    if not totals_s:
        return totals_s
    limit_s = _LONE_OUTLIER * max(_MEDIAN_MIN_S, median(totals_s))
    within = [total for total in totals_s if total <= limit_s]
    return within if len(totals_s) - len(within) == 1 else totals_s
