"""Floors on the autoscalers that own a workload: written, edited by a user meanwhile, and put back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cluster.controllers import Controller
from cluster.exporter import Exporter
from cluster.live_objects import LiveObjects
from cluster.prometheus_server import PrometheusServer
from cluster.waiting import wait_until
from cluster.workloads import horizontal_pod_autoscaler, predictive_autoscaler, scaled_object
from kubernetes.client.exceptions import ApiException

from autoscaler.actuators.finalizer import FINALIZER
from autoscaler.actuators.note import ANNOTATION

pytestmark = pytest.mark.usefixtures("predictive_autoscalers", "scaled_objects")

DEMAND = 4.0
# Above all that is needed for it, learned too little of it as the forecast may have.
ABOVE = 18


def has_floor(seen: tuple[int | None, dict[str, str]]) -> bool:
    """Whether a lower bound is one that Headstart wrote for the demand."""
    bound, annotations = seen
    return bound is not None and bound >= DEMAND and ANNOTATION in annotations


def is_gone(live: LiveObjects, name: str) -> bool:
    try:
        live.autoscaler(name)
    except ApiException as error:
        return bool(error.status == 404)
    return False


def test_floors_are_written_and_the_users_own_bounds_put_back(
    live: LiveObjects, prometheus: PrometheusServer, exporter: Exporter, headstart: Callable[..., Controller]
) -> None:
    exporter.set("demand", DEMAND)
    prometheus.start()
    for name in ("keda", "edited", "hpa", "owned"):
        live.create_deployment(name, replicas=1)
    live.create_scaled_object(scaled_object("keda", target="keda", minimum=None, maximum=20))
    live.create_scaled_object(scaled_object("edited", target="edited", minimum=1, maximum=20))
    live.create_hpa(horizontal_pod_autoscaler("hpa", target="hpa", minimum=2, maximum=20))
    live.create_hpa(horizontal_pod_autoscaler("owned", target="owned", minimum=1, maximum=20))
    for name in ("keda", "edited", "hpa"):
        live.create_autoscaler(predictive_autoscaler(name, target=name, query="sum(demand)", mode="Floor"))
    live.create_autoscaler(predictive_autoscaler("owned", target="owned", query="sum(demand)", mode="Scale"))

    controller = headstart("one", prometheus_url=prometheus.url)
    controller.start_until_ready()
    wait_until(lambda: has_floor(live.scaled_object("keda")), timeout_s=60, what="a floor on the ScaledObject")
    wait_until(lambda: has_floor(live.scaled_object("edited")), timeout_s=30, what="a floor on the other ScaledObject")
    wait_until(lambda: has_floor(live.hpa("hpa")), timeout_s=30, what="a floor on the HPA")
    # The HPA acts on it: nobody else has written the replicas.
    wait_until(lambda: live.replicas("hpa") >= DEMAND, timeout_s=60, what="the HPA to follow its floor")
    wait_until(
        lambda: live.condition("hpa", "ScalingActive") == ("True", "Floor"), timeout_s=60, what="the status to say so"
    )
    assert FINALIZER in live.autoscaler("hpa")["metadata"]["finalizers"]

    # Where an autoscaler owns the replicas, mode Scale writes nothing and says who owns them.
    wait_until(
        lambda: live.condition("owned", "ScalingActive") == ("False", "OwnedByHorizontalPodAutoscaler"),
        timeout_s=30,
        what="mode Scale to be refused",
    )
    wait_until(lambda: live.events("owned", "OwnedByHorizontalPodAutoscaler"), timeout_s=30, what="an Event of it")
    assert live.replicas("owned") == 1
    assert live.hpa("owned") == (1, {})

    # A user asks for more than the floor, and another for less: neither is forgotten.
    live.edit_hpa("hpa", minimum=ABOVE)
    live.edit_scaled_object("edited", minimum=3)
    edited_s = max(each.observation.now_s for each in controller.decisions())
    controller.wait_for_decision(edited_s + 2 * 2)
    assert live.hpa("hpa")[0] == ABOVE

    # A deleted object is kept until its floor is gone.
    live.delete_autoscaler("keda")
    wait_until(lambda: is_gone(live, "keda"), timeout_s=30, what="the deleted object to go")
    assert live.scaled_object("keda") == (None, {})

    assert controller.end() == 0
    assert live.hpa("hpa") == (ABOVE, {})
    assert live.scaled_object("edited") == (3, {})
    assert not live.autoscaler("hpa")["metadata"].get("finalizers")
    written = {each.name for each in controller.decisions() if each.done.action == "Patched"}
    # Their floors were seen above; what is written at a second try is in no decision's line.
    assert written <= {"keda", "edited", "hpa"}
