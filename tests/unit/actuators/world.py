"""A workload of the fake API server, who owns it, and what a controller would see of it."""

from __future__ import annotations

from typing import Any

from fake_api.objects import autoscaler, deployment
from fake_api.server import FakeApi

from autoscaler.actuators.apply import apply
from autoscaler.actuators.outcome import Action, ActuatorMemory, Outcome
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.kube.client import Kube
from autoscaler.kube.facts import Target, TargetKey
from autoscaler.kube.parse import parse_autoscaler, parse_hpa, parse_scaled_object

KEY = TargetKey("team", "apps/v1", "Deployment", "llm")
T0_S = 1_767_614_400.0
NOTE = "headstart.dev/original-min-replicas"


class World:
    """The Deployment team/llm and the PredictiveAutoscaler of the same name. `now_s` is the controller's clock."""

    def __init__(self, api: FakeApi, kube: Kube, *, mode: str, replicas: int = 3) -> None:
        self.api, self.kube = api, kube
        self.memory = ActuatorMemory()
        self.now_s = T0_S
        self.leads = True
        api.put("deployments", deployment(replicas=replicas))
        api.put("predictiveautoscalers", autoscaler(mode=mode, maxReplicas=50))
        api.requests.clear()

    def object(self) -> PredictiveAutoscaler:
        return parse_autoscaler(self.api.read("predictiveautoscalers", "llm"))

    def target(self, *, rolling: bool = False) -> Target:
        """The workload and its owners as they are now."""
        body = self.api.read("deployments", "llm")
        claims = [parse_scaled_object(raw) for raw in self.api.items("scaledobjects")]
        claims += [parse_hpa(raw) for raw in self.api.items("horizontalpodautoscalers")]
        owners = tuple(claim.owner for claim in claims if claim.workload.name == "llm")
        return Target(
            KEY, body["spec"]["replicas"], body["metadata"]["resourceVersion"], (), owners=owners, rolling=rolling
        )

    def apply(
        self,
        desired: int,
        *,
        after_s: float = 60.0,
        target: Target | None = None,
        given: PredictiveAutoscaler | None = None,
    ) -> Outcome:
        """Apply a decision `after_s` after the one before, as seen in `target`, of the object as it is or `given`."""
        self.now_s += after_s
        return apply(
            self.kube,
            self.object() if given is None else given,
            self.target() if target is None else target,
            desired,
            now_s=self.now_s,
            memory=self.memory,
            leads=lambda: self.leads,
        )

    def restart(self) -> None:
        """Lose what is remembered."""
        self.memory = ActuatorMemory()

    def set_mode(self, mode: str) -> None:
        self.api.edit("predictiveautoscalers", "llm", lambda body: body["spec"].update(mode=mode))

    def replicas(self) -> int:
        return int(self.api.read("deployments", "llm")["spec"]["replicas"])

    def finalizers(self) -> list[str]:
        return list(self.api.read("predictiveautoscalers", "llm")["metadata"].get("finalizers", []))

    def owner(self, plural: str, name: str = "llm") -> tuple[Any, str | None]:
        """(lower bound, the note beside it)."""
        body = self.api.read(plural, name)
        field = "minReplicas" if plural == "horizontalpodautoscalers" else "minReplicaCount"
        return body["spec"].get(field), (body["metadata"].get("annotations") or {}).get(NOTE)

    def writes(self) -> list[str]:
        """What was written: 'PATCH scale', 'PATCH scaledobjects', ..."""
        seen = []
        for verb, path, _ in self.api.writes():
            parts = path.partition("?")[0].split("/")
            seen.append(f"{verb} {parts[-1] if parts[-1] in ('scale', 'status') else parts[-2]}")
        return seen


def short(outcome: Outcome) -> tuple[Action, str]:
    return outcome.action, outcome.reason
