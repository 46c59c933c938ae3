"""As many workloads as one process serves, described to it by real calls."""

from __future__ import annotations

import gc

import grpc
from keda_client import DEADLINE_S, INLINE, Serve, Served, posted, ref

from autoscaler.keda.externalscaler_pb2 import ScaledObjectRef
from autoscaler.keda.guest_limits import GUESTS_MAX, GUESTS_PER_NAMESPACE
from autoscaler.keda.metadata import _read, read_metadata

Code = grpc.StatusCode
# So many that none of them has too many.
NAMESPACES = 2 * GUESTS_MAX // GUESTS_PER_NAMESPACE


def guest(number: int, **metadata: str) -> ScaledObjectRef:
    return ref(INLINE | metadata, namespace=f"team-{number % NAMESPACES}", name=f"chat-{number}")


def objects_alive() -> int:
    gc.collect()
    return len(gc.get_objects())


def refused(served: Served, asked: ScaledObjectRef) -> None:
    """Nothing but the specification, which never fails, is said."""
    for call in ("GetMetrics", "IsActive"):
        code, details = served.refusal(asked, call)
        assert code is Code.RESOURCE_EXHAUSTED
        assert f"{GUESTS_MAX:,} workloads are described in trigger metadata already" in details
    assert len(served.stub.GetMetricSpec(asked, timeout=DEADLINE_S).metricSpecs) == 1


def test_two_thousand_guests_are_served_and_more_are_refused_and_cost_no_memory(serve: Serve) -> None:
    served = serve(guests_max=GUESTS_MAX)
    for number in range(GUESTS_MAX):
        served.stub.GetMetricSpec(guest(number), timeout=DEADLINE_S)
    guests = served.guests.objects()
    assert len(guests) == GUESTS_MAX
    for one in guests:
        served.board.post((one.metadata.namespace, one.metadata.name), posted(3))
    refused(served, guest(GUESTS_MAX))

    # What is read is kept until this is full, whoever is served.
    for number in range(_read.cache_parameters()["maxsize"]):
        read_metadata("prod", f"chat-{number}", INLINE)
    before = objects_alive()
    for number in range(10_000, 10_250):
        refused(served, guest(number))
        refused(served, guest(number % GUESTS_MAX, maxReplicas="9"))
    # Not one for each of 1,500 calls.
    assert objects_alive() - before < 500
    # Those that were there first are answered as before.
    assert served.guests.objects() == guests
    assert served.value(guest(0)) == served.value(guest(GUESTS_MAX - 1)) == (3, 3.0)
    # An hour later those that are asked for have the room of the others.
    served.clock.now_s += 3_600.0
    assert served.refusal(guest(GUESTS_MAX))[0] is Code.UNAVAILABLE
    assert len(served.guests.objects()) == 1
