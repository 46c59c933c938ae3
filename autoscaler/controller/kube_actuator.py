"""The controller's writes to a real cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from autoscaler.actuators import restore as restoring
from autoscaler.actuators.apply import apply, refusal
from autoscaler.actuators.outcome import UNANSWERED, ActuatorMemory, Outcome, outcome_of
from autoscaler.actuators.placeholders import set_placeholders, take_away_placeholders
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import API_VERSION, KIND, PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.errors import KubeError, KubeFailure
from autoscaler.kube.events import EventRecorder, EventType, Regarding
from autoscaler.kube.facts import Target
from autoscaler.kube.parse import MALFORMED
from autoscaler.telemetry.log import Log
from autoscaler.telemetry.metrics import Metrics


class KubeActuator:
    """Writes to the API server; see ports.Actuator."""

    def __init__(
        self,
        kube: Kube,
        events: EventRecorder,
        log: Log,
        metrics: Metrics,
        *,
        namespace: str | None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """Write nothing yet; `namespace` is the one that is looked after, None for all; `leads`: see `apply`."""
        self._kube = kube
        self._events = events
        self._log = log
        self._metrics = metrics
        self._namespace = namespace
        self._leads = leads
        self._memory, self._placeholder_memory = ActuatorMemory(), ActuatorMemory()

    def apply(self, autoscaler: PredictiveAutoscaler, target: Target, desired: int, *, now_s: float) -> Outcome:
        """See ports.Actuator."""
        return apply(self._kube, autoscaler, target, desired, now_s=now_s, memory=self._memory, leads=self._leads)

    def refusal(self, autoscaler: PredictiveAutoscaler, target: Target) -> Outcome | None:
        """See ports.Actuator."""
        return refusal(autoscaler, target)

    def place(self, autoscaler: PredictiveAutoscaler, placeholders: int, *, held: bool, now_s: float) -> Outcome:
        """See ports.Actuator."""
        memory = self._placeholder_memory
        return set_placeholders(self._kube, autoscaler, placeholders, held=held, now_s=now_s, memory=memory)

    def take_away(self, autoscaler: PredictiveAutoscaler, written: Collection[int]) -> Outcome:
        """See ports.Actuator."""
        self._placeholder_memory.forget(autoscaler)
        return take_away_placeholders(self._kube, autoscaler, written)

    def held(self) -> Collection[Held] | None:
        """See ports.Actuator."""
        try:
            return list(restoring.find_floors(self._kube, self._namespace))
        except (KubeError, *MALFORMED) as problem:
            self._log.warning(outcome_of(problem).message)
            return None

    def restore(self, autoscaler: PredictiveAutoscaler, held: Collection[Held] | None = None) -> Outcome:
        """See ports.Actuator."""
        outcome = restoring.release(self._kube, autoscaler, held)
        # A floor that is written later is a new one, not one that somebody had put back.
        self._memory.forget(autoscaler)
        return outcome

    def sweep(self, autoscalers: Collection[PredictiveAutoscaler], spared: Collection[str]) -> Collection[Outcome]:
        """See ports.Actuator."""
        return restoring.sweep(self._kube, autoscalers, namespaces=(self._namespace,), spared=spared)

    def keep(self, autoscalers: Collection[PredictiveAutoscaler]) -> None:
        """See ports.Actuator."""
        self._memory.keep(autoscalers)
        self._placeholder_memory.keep(autoscalers)

    def write_status(self, autoscaler: PredictiveAutoscaler, status: PredictiveAutoscalerStatus) -> bool:
        """See ports.Actuator. An object from a file has none; one that is gone needs none."""
        about = autoscaler.metadata
        if not about.uid:
            return True
        try:
            self._kube.patch_status(about.namespace, about.name, _whole(status))
        except KubeError as problem:
            if problem.kind is KubeFailure.NOT_FOUND:
                return True
            # Written again with the next tick, whatever became of it: the same once more changes nothing.
            self._metrics.api_failed("patch", UNANSWERED if problem.may_be_done else str(problem.kind))
            self._log.warning(str(problem))
            return False
        return True

    def tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        """See ports.Actuator; an object from a file has no Events, so that the log has them."""
        about = autoscaler.metadata
        if not about.uid:
            self._log.info(f"{about.namespace}/{about.name}: {reason}: {message}")
            return
        regarding = Regarding(API_VERSION, KIND, about.namespace, about.name, about.uid)
        kind: EventType = "Warning" if warning else "Normal"
        self._events.record(regarding, type=kind, reason=reason, message=message)


def _whole(status: PredictiveAutoscalerStatus) -> dict[str, Any]:
    """A merge patch that leaves nothing of an older status: what is unknown now is removed."""
    absent = {type(status).model_fields[name].alias or name: None for name in type(status).model_fields}
    return {**absent, **status.to_manifest()}
