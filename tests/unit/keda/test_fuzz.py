"""Whatever metadata holds, an answer is one of the statuses that we mean, and nothing stays in memory."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator

import grpc
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from keda_client import DEADLINE_S, INLINE, Serve, Served, posted, ref

from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, ScaledObjectRef
from autoscaler.keda.metadata import KEYS

Code = grpc.StatusCode
MEANT = {
    Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.UNAVAILABLE, Code.PERMISSION_DENIED, Code.RESOURCE_EXHAUSTED,
}  # fmt: skip

text = st.text(max_size=80)
near_values = st.sampled_from(
    ["", "0", "1", "-1", "1e3", "nan", "inf", "9" * 400, "90s", "1h30m", "14d", "1%", "100%", "hold", "chat", "b/chat",
     "http://prometheus:9090", "sum(rate(x[2m]))", "{", "\x00", "é" * 300]
)  # fmt: skip
keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS).map(lambda key: f"{key}FromEnv"), text)
metadata = st.dictionaries(keys, st.one_of(near_values, text), max_size=8)
almost = st.builds(lambda rest: INLINE | rest, st.dictionaries(st.sampled_from(KEYS), near_values, max_size=3))
names = st.one_of(st.just("prod"), text)


def statuses(served: Served, asked: ScaledObjectRef) -> Iterator[Code]:
    for call, request in (
        ("GetMetricSpec", asked), ("GetMetrics", GetMetricsRequest(scaledObjectRef=asked)), ("IsActive", asked)
    ):  # fmt: skip
        try:
            getattr(served.stub, call)(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            yield error.code()
        else:
            yield Code.OK


@given(metadata=st.one_of(metadata, almost), namespace=names, name=names, metric=text)
@example(metadata={}, namespace="", name="", metric="")
@example(metadata={"": ""}, namespace="prod", name="chat", metric="x")
@example(metadata={"predictiveAutoscalerFromEnv": "chat"}, namespace="prod", name="chat", metric="x")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_metadata_gets_a_status_that_we_mean(
    served: Served, metadata: dict[str, str], namespace: str, name: str, metric: str
) -> None:
    served.board.post(("prod", "chat"), posted(1))
    asked = ref(metadata, namespace=namespace, name=name)
    given_codes = list(statuses(served, asked))
    assert set(given_codes) <= MEANT
    assert (given_codes[0] is Code.OK) == (given_codes[1] not in {Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED})


def test_memory_does_not_grow_with_calls_however_different_they_are(serve: Serve) -> None:
    served = serve(guests_max=50)
    calls = int(os.environ.get("HEADSTART_FUZZ_CALLS", "2400")) // 3  # of each of three kinds

    def call(count: int) -> None:
        number = count % 10_007
        kinds = (
            INLINE | {"capacityPerReplica": str(1 + number)},
            INLINE | {f"key-{number}": "x" * 500},
            {"predictiveAutoscaler": f"chat-{number}"},
            INLINE | {"scalerAddress": f"headstart-{number}:9090"},
        )
        list(statuses(served, ref(kinds[count % len(kinds)], name=f"chat-{number % 97}")))

    for count in range(calls // 3):
        call(count)
    gc.collect()
    objects, resident_kb = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for count in range(calls // 3, calls):
        call(count)
    gc.collect()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident_kb
    # What stays is the cache of read metadata, which is full or as good as: 4,096 entries.
    assert grown_kb < 30_000, f"{grown_kb} kB more, {len(gc.get_objects()) - objects} objects more"
    assert len(served.guests.objects()) <= 50
