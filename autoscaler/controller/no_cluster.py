"""A cluster without objects, and nothing to write to: where there is none, and under one that is simulated."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from autoscaler.actuators.outcome import Action, Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError
from autoscaler.kube.facts import Target, TargetKey, Unavailable

_NOTHING = Outcome(Action.NONE, "NoCluster", "no cluster is written to")


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

    def refusal(self, autoscaler: PredictiveAutoscaler, target: Target) -> Outcome | None:
        """Nothing is in the way."""
        return None

    def place(self, autoscaler: PredictiveAutoscaler, placeholders: int, *, held: bool, now_s: float) -> Outcome:
        """Nothing."""
        return _NOTHING

    def take_away(self, autoscaler: PredictiveAutoscaler, written: Collection[int]) -> Outcome:
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
