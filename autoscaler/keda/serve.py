"""The external scaler by itself: it needs a Prometheus, and no rights in any cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from threading import Event

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.controller.clock import SystemClock
from autoscaler.controller.process import Alone, Process, World, run_process
from autoscaler.errors import HeadstartError
from autoscaler.keda.attach import ExternalScaler
from autoscaler.keda.desk import Desk
from autoscaler.keda.messages import Listening
from autoscaler.kube.facts import Target, TargetKey, Unavailable


def external_scaler(listening: Listening) -> ExternalScaler:
    """The extension of the loop that KEDA asks."""
    return ExternalScaler(Desk(listening), SystemClock())


def serve(process: Process, listening: Listening, stop: Event, *, on_start: Callable[[int], object]) -> None:
    """Decide for what triggers describe, until `stop` is set.

    Args:
        process: see Process.
        listening: see Listening.
        stop: set to end.
        on_start: called with the port of /metrics once it and the gRPC server are up.
    """
    nothing = NoCluster()
    run_process(
        process,
        lambda _log, _metrics, _ending: World(nothing, nothing, Alone()),
        stop,
        on_start=on_start,
        extension=external_scaler(listening),
    )


class NoCluster:
    """No objects, and nothing to write to: see ports."""

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """None."""
        return ()

    def synced(self) -> bool:
        """There is nothing to list."""
        return True

    def problems(self) -> Mapping[tuple[str, str], str]:
        """None."""
        return {}

    def errors(self) -> Collection[HeadstartError]:
        """None."""
        return ()

    def target(self, key: TargetKey) -> Target | Unavailable:
        """None is known."""
        return Unavailable(key, "NoCluster", "no cluster is looked at")

    def apply(self, autoscaler: PredictiveAutoscaler, target: Target, desired: int, *, now_s: float) -> Outcome:
        """Nothing."""
        return _NOTHING

    def held(self) -> Collection[Held]:
        """None."""
        return ()

    def restore(self, autoscaler: PredictiveAutoscaler, held: Collection[Held] | None = None) -> Outcome:
        """Nothing."""
        return _NOTHING

    def sweep(self, autoscalers: Collection[PredictiveAutoscaler], spared: Collection[str]) -> Collection[Outcome]:
        """None."""
        return ()

    def keep(self, autoscalers: Collection[PredictiveAutoscaler]) -> None:
        """Nothing is remembered."""

    def write_status(self, autoscaler: PredictiveAutoscaler, status: PredictiveAutoscalerStatus) -> bool:
        """Nobody reads it."""
        return True

    def tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        """Nobody listens."""


_NOTHING = Outcome(Action.NONE, "NoCluster", "no cluster is written to")
