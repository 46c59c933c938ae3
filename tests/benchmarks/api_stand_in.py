"""An API server stand-in for the controller's benchmark, in a process of its own: `fake_api` with a fleet in it.

Deployments get the pods that they order, which are ready after a minute. Commands are JSON lines on standard input:
`{}` asks for what was requested since the last time, by verb and resource, and for when each Deployment was scaled.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fleet
from fake_api.server import FakeApi, Kind, Object

_LOOK_S = 0.5


class FleetApi(FakeApi):
    """Counts requests; a write that leaves the object as it was counts apart."""

    def __init__(self, objects: int) -> None:
        super().__init__(bookmark_s=15.0)
        self.asked: Counter[str] = Counter()
        self.scaled_s: dict[str, list[float]] = {}
        self._pods: dict[int, list[int]] = {}
        self._loading: list[tuple[float, int, int]] = []
        self._next_pod = fleet.PODS
        old_s = time.time() - 86_400
        for number in range(objects):
            self.put("deployments", fleet.deployment(number))
            self.put("predictiveautoscalers", fleet.autoscaler(number))
            self._pods[number] = list(range(fleet.PODS))
            for index in range(fleet.PODS):
                made = fleet.pod(number, index, created_s=old_s, ready_s=old_s + fleet.LOAD_S)
                self.put("pods", made)
        # Watches begin after this; the fleet's making is no news.
        self._history.clear()

    def serve(self, verb: str, kind: Kind, namespace: str, name: str, sub: str, body: Object | None) -> Object:
        what = f"{verb} {kind.plural}{'/' if sub else ''}{sub}"
        with self._changed:
            before = self._version
            answer = super().serve(verb, kind, namespace, name, sub, body)
            self.asked[what] += 1
            if verb != "GET" and self._version == before:
                self.asked[f"{what} without a change"] += 1
            if sub == "scale" and verb == "PATCH":
                self.scaled_s.setdefault(name, []).append(time.time())
            return answer

    def page(self, kind: Kind, namespace: str, query: dict[str, str]) -> Object:
        self.asked[f"LIST {kind.plural}"] += 1
        return super().page(kind, namespace, query)

    def run_kubelets(self) -> None:
        """Create, make ready and delete pods as ordered, for good."""
        while True:
            time.sleep(_LOOK_S)
            # Nobody asks for what was written: only the counts.
            self.requests.clear()
            self.tokens.clear()
            now_s = time.time()
            while self._loading and self._loading[0][0] <= now_s:
                _, number, index = self._loading.pop(0)
                if index in self._pods[number]:
                    made_s = now_s - fleet.LOAD_S
                    self.put("pods", fleet.pod(number, index, created_s=made_s, ready_s=now_s))
            for number, pods in self._pods.items():
                self._follow(number, pods, now_s)

    def _follow(self, number: int, pods: list[int], now_s: float) -> None:
        name = fleet.name_of(number)
        deployment = self._objects["deployments", fleet.NAMESPACE, name]
        ordered = deployment["spec"]["replicas"]
        while len(pods) < ordered:
            self._next_pod += 1
            pods.append(self._next_pod)
            self.put("pods", fleet.pod(number, self._next_pod, created_s=now_s, ready_s=None))
            self._loading.append((now_s + fleet.LOAD_S, number, self._next_pod))
        while len(pods) > ordered:
            gone = fleet.pod(number, pods.pop(), created_s=0, ready_s=None)
            self.remove("pods", gone["metadata"]["name"])
        if deployment["status"]["observedGeneration"] != deployment["metadata"]["generation"]:
            # Else it would be in the midst of a rolling update for good.
            self.edit("deployments", name, _observe)


def _observe(deployment: Object) -> None:
    replicas = deployment["spec"]["replicas"]
    deployment["status"] = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
    }


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(objects: int) -> None:
    with FleetApi(objects) as api:
        say({"kubeconfig": api.kubeconfig()})
        threading.Thread(target=api.run_kubelets, daemon=True).start()
        for _ in sys.stdin:
            asked, api.asked = api.asked, Counter()
            say({"asked": dict(asked), "scaled_s": api.scaled_s})


if __name__ == "__main__":
    main(int(sys.argv[1]))
