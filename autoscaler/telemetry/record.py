"""What is told of one decision: to the log, to the metrics, to `headstart explain`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.core.decision import Decision
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Placeholders
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.spec import Spec


@dataclass(frozen=True, slots=True)
class Done:
    """What was done about a decision.

    Attributes:
        action: 'None', 'Patched', 'Refused', 'Waiting', 'Conflict' or 'Failed'.
        reason: why: one stable word in camel case.
        message: why, in one line.
        before: replicas, or the floor, before it; None where unknown.
        after: the same after it; None where nothing was written.
    """

    action: str
    reason: str
    message: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Write:
    """What was written in a later tick than its decision: the first attempt had to wait, or failed.

    Attributes:
        time_s: when, seconds since the epoch.
        namespace, name: of the PredictiveAutoscaler.
        decided_s: `decision.now_s` of the newest decision then; None for an object that wasn't decided on.
        done: what was written.
        placeholders: whether those that keep nodes warm were, and not replicas or their floor.
    """

    time_s: float
    namespace: str
    name: str
    decided_s: float | None
    done: Done
    placeholders: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One decision with what it was made from.

    Attributes:
        time_s: when it was made, seconds since the epoch; `observation.now_s` is the start of its bin.
        namespace, name: of the PredictiveAutoscaler.
        mode: 'Shadow', 'Floor' or 'Scale'.
        spec: what the user stated, with what was learned in the place of priors. The forecast's members are not logged:
            `choose` doesn't ask them. Of the load latency five quantiles are, see `compact`.
        observation, outlook, decision: of the core.
        done: what was done about it.
        phases: phase of a load -> its time as seen, for those that pods told.
        placeholders: how many keep nodes warm; None where none are asked for. `placed` is what was done about it.
        fleet_unseen: whether nobody saw the replicas, and they were taken to follow what was decided; not logged.
        later: what was written of it in later ticks, in the order of time; each has a line of its own.
    """

    time_s: float
    namespace: str
    name: str
    mode: str
    spec: Spec
    observation: Observation
    outlook: Outlook
    decision: Decision
    done: Done
    phases: Mapping[str, LoadLatency] = field(default_factory=dict)
    placeholders: Placeholders | None = None
    placed: Done | None = None
    fleet_unseen: bool = False
    later: tuple[Write, ...] = ()

    @property
    def assumed(self) -> bool:
        """Whether nobody knows how many replicas there were."""
        return self.observation.fleet_assumed

    @property
    def changed(self) -> bool:
        """Whether other replicas were wanted than there were, where that is known."""
        return not self.assumed and self.decision.desired != self.decision.current

    @property
    def done_at_last(self) -> Done:
        """What was done about it in the end."""
        return next((write.done for write in reversed(self.later) if not write.placeholders), self.done)

    @property
    def object_name(self) -> str:
        """'namespace/name'."""
        return f"{self.namespace}/{self.name}"
