"""What is allowed in an object and worth a second look."""

from __future__ import annotations

import pytest

from autoscaler.api.advice import advice
from autoscaler.api.v1alpha1 import PredictiveAutoscaler


def told(**spec: object) -> list[str]:
    manifest = {
        "apiVersion": "headstart.dev/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": "chat"},
        "spec": {
            "scaleTargetRef": {"name": "chat"},
            "maxReplicas": 10,
            "demand": [{"query": "up", "capacity": 1}],
            **spec,
        },
    }
    return list(advice(PredictiveAutoscaler.from_manifest(manifest)))


def surge(cron: str, duration: str) -> dict[str, object]:
    name = f"on-{cron.replace(' ', '').replace('*', 'x')}"
    return {"name": name, "cron": cron, "duration": duration, "expect": "1.5x"}


def test_the_defaults_need_no_advice() -> None:
    assert told() == []
    assert told(mode="Floor", minReplicas=0) == []
    assert told(schedule=[surge("0 9 * * *", "12h"), surge("0 0 1-7 * *", "24h"), surge("0 20 * * 2-5", "12h")]) == []


@pytest.mark.parametrize(
    ("spec", "begins"),
    [
        ({"mode": "Scale"}, "mode Scale sets the replicas of Deployment chat itself, and refuses to where"),
        ({"history": "167h"}, "history 167h is too short for a weekly season; 168h shows one, 336h shows it twice"),
        (
            {"schedule": [surge("0 8 * * *", "14h"), surge("0 22 * * *", "10h")]},
            "schedule has events that expect more at all times",
        ),
        ({"interval": "5s"}, "history 336h at interval 5s is 241,920 values per query"),
    ],
)
def test_what_may_not_be_meant_is_told_with_what_to_do(spec: dict[str, object], begins: str) -> None:
    (sentence,) = told(**spec)
    assert sentence.startswith(begins)
