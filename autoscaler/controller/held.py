"""Replicas of a GPU budget's members whose GPUs are taken, as far as they can be known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from autoscaler.actuators.note import standing_floors
from autoscaler.actuators.outcome import Outcome
from autoscaler.api.v1alpha1 import Mode
from autoscaler.controller.workload import Workload
from autoscaler.kube.cluster import Reason as Unknown
from autoscaler.kube.facts import Pod, Target

_NOTHING_THERE = (Unknown.NOT_FOUND, Unknown.KIND_UNKNOWN)
# Pods of a deleted target that can't be looked for are taken to be gone after so long. An engine that drains gets some
# minutes at most (terminationGracePeriodSeconds).
_UNSEEN_S = 600.0


@dataclass(frozen=True, slots=True)
class Held:
    """Replicas whose GPUs are taken.

    Attributes:
        ordered: those that are ordered.
        leaving: those that leave or are beyond the order.
        known: whether anything tells so; a target that wasn't read yet and has no status may hold any number.
        gone_s: when the target was first found deleted; None where it wasn't.
    """

    ordered: int
    leaving: int
    known: bool = True
    gone_s: float | None = None

    def after(self, outcome: Outcome | None) -> Held:
        """With what was, or may have been, ordered since: where the target can't be read from then on, it is there."""
        return self if self.gone_s is not None else replace(self, ordered=max(self.ordered, _written(outcome)))

    def gone(self, pods: Iterable[Pod] | None, *, now_s: float) -> Held:
        """After its target was deleted, which leaves `pods`: all that was held is, until none of them is there.

        More than those that are seen may come up yet, for what makes them is deleted after the target.
        """
        since_s = now_s if self.gone_s is None else self.gone_s
        left = 0.0 <= now_s - since_s < _UNSEEN_S if pods is None else any(not pod.failed for pod in pods)
        return Held(0, self.ordered + self.leaving if left and self.known else 0, gone_s=since_s)


def held_by(workload: Workload, before: Held | None, *, now_s: float) -> Held:
    """What the workload holds now; where its target can't be read, as it was `before`, or as its status tells."""
    target = workload.target
    if isinstance(target, Target):
        ordered = max(target.replicas, _written(workload.outcome), *standing_floors(target.owners))
        pods = [pod for pod in target.pods if not pod.failed]
        deleting = sum(pod.deleting for pod in pods)
        return Held(ordered, deleting + max(0, len(pods) - deleting - ordered))
    last = before if before is not None and before.known else _told(workload)
    if target is not None and target.reason in _NOTHING_THERE:
        return last.gone(target.pods, now_s=now_s)
    return last


def _told(workload: Workload) -> Held:
    """What the status tells, for a target that this process hasn't read yet: its last order may be carried out."""
    status = workload.status
    if status is None or status.current_replicas is None:
        return Held(workload.spec.replicas_min, 0, known=False)
    # What is desired in mode Shadow was never ordered.
    ordered = 0 if workload.autoscaler.spec.mode is Mode.SHADOW else status.desired_replicas or 0
    return Held(max(status.current_replicas, ordered), 0)


def _written(outcome: Outcome | None) -> int:
    """Replicas that our last write ordered, or may have."""
    return 0 if outcome is None else max(outcome.after or 0, outcome.maybe or 0)
