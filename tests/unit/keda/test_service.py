from __future__ import annotations

import time
from itertools import islice

import grpc
import pytest
from keda_client import DEADLINE_S, INLINE, Serve, Served, posted, ref, unusable

from autoscaler.keda.metadata import Inline, read_metadata
from autoscaler.keda.service import Options

Code = grpc.StatusCode
NAMED = {"predictiveAutoscaler": "chat", "scalerAddress": "headstart.headstart:9090"}
CHAT = ("prod", "chat")


def inline_key(metadata: dict[str, str] = INLINE) -> tuple[str, str]:
    read = read_metadata("prod", "chat", metadata)
    assert isinstance(read, Inline)
    return read.key


def test_values_are_filled_for_old_and_new_keda(served: Served) -> None:
    served.board.post(CHAT, posted(7, replicas=3))
    assert served.value(ref(NAMED)) == (7, 7.0)


def test_a_true_zero_is_zero_in_both_fields_and_inactive(served: Served) -> None:
    served.board.post(CHAT, posted(0, replicas=3))
    assert served.value(ref(NAMED)) == (0, 0.0)
    assert not served.stub.IsActive(ref(NAMED), timeout=DEADLINE_S).result


def test_within_the_tolerance_of_the_hpa_the_value_is_past_it(served: Served) -> None:
    served.board.post(CHAT, posted(21, replicas=20))
    assert served.value(ref(NAMED)) == (23, 23.0)
    assert served.value(ref(NAMED | {"hpaTolerance": "0%"})) == (21, 21.0)


@pytest.mark.parametrize("metadata", [NAMED, INLINE, INLINE | {"maxReplicas": "9"}])
def test_the_specification_is_the_same_without_an_object_with_one_and_without_data(
    served: Served, metadata: dict[str, str]
) -> None:
    before = served.stub.GetMetricSpec(ref(metadata), timeout=DEADLINE_S)
    (spec,) = before.metricSpecs
    assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("headstart-replicas", 1, 1.0)
    served.board.post(CHAT, unusable(3))
    assert served.stub.GetMetricSpec(ref(metadata), timeout=DEADLINE_S) == before
    served.board.keep([])
    assert served.stub.GetMetricSpec(ref(metadata), timeout=DEADLINE_S) == before


@pytest.mark.parametrize("call", ["GetMetricSpec", "GetMetrics", "IsActive"])
def test_bad_metadata_is_an_invalid_argument_that_names_key_value_and_what_is_allowed(
    served: Served, call: str
) -> None:
    code, details = served.refusal(ref(INLINE | {"maxWait": "soon"}), call)
    assert code is Code.INVALID_ARGUMENT
    assert details == "trigger metadata maxWait: must be a duration such as 90s, 1h30m or 336h, got 'soon'"


def test_an_object_of_another_namespace_is_refused_unless_allowed(served: Served, serve: Serve) -> None:
    other = ref({"predictiveAutoscaler": "team-b/chat"})
    for call in ("GetMetricSpec", "GetMetrics", "IsActive"):
        code, details = served.refusal(other, call)
        assert code is Code.PERMISSION_DENIED
        assert "prod may not ask for PredictiveAutoscaler team-b/chat" in details
    allowing = serve(options=Options(allow_cross_namespace=True))
    allowing.board.post(("team-b", "chat"), posted(4))
    assert allowing.value(other) == (4, 4.0)


def test_the_own_namespace_may_be_written_out(served: Served) -> None:
    served.board.post(CHAT, posted(4))
    assert served.value(ref({"predictiveAutoscaler": "prod/chat"})) == (4, 4.0)


def test_an_object_that_does_not_exist_is_not_found_once_that_is_known(served: Served) -> None:
    assert served.refusal(ref(NAMED))[0] is Code.UNAVAILABLE
    served.board.keep([("prod", "code")])
    code, details = served.refusal(ref(NAMED))
    assert code is Code.NOT_FOUND
    assert "there is no PredictiveAutoscaler prod/chat" in details
    served.board.keep([CHAT])
    assert served.refusal(ref(NAMED))[0] is Code.UNAVAILABLE


def test_an_inline_workload_is_a_guest_from_its_first_call_and_answers_once_decided(served: Served) -> None:
    served.board.keep([])
    assert served.refusal(ref(INLINE))[0] is Code.UNAVAILABLE
    (guest,) = served.guests.objects()
    assert guest.spec.demand[0].capacity == 3.0
    served.board.post(inline_key(), posted(2))
    assert served.value(ref(INLINE)) == (2, 2.0)
    assert served.guests.objects() == (guest,)


def test_the_specification_alone_makes_a_guest(served: Served) -> None:
    served.stub.GetMetricSpec(ref(INLINE), timeout=DEADLINE_S)
    assert len(served.guests.objects()) == 1


def test_too_many_guests_exhaust_the_metric_and_not_its_specification(serve: Serve) -> None:
    served = serve(guests_max=1)
    served.stub.GetMetricSpec(ref(INLINE), timeout=DEADLINE_S)
    second = ref(INLINE | {"maxReplicas": "9"})
    assert len(served.stub.GetMetricSpec(second, timeout=DEADLINE_S).metricSpecs) == 1
    assert served.refusal(second)[0] is Code.RESOURCE_EXHAUSTED
    assert served.refusal(second, "IsActive")[0] is Code.RESOURCE_EXHAUSTED


def test_before_any_usable_decision_there_is_no_answer(served: Served) -> None:
    served.board.post(CHAT, unusable(5, "no history yet"))
    for call in ("GetMetrics", "IsActive"):
        assert served.refusal(ref(NAMED), call) == (Code.UNAVAILABLE, "prod/chat: no history yet")


def test_unusable_data_holds_the_last_usable_decision_for_as_long_as_max_age_says(served: Served) -> None:
    served.board.post(CHAT, posted(6))
    served.clock.now_s += 500.0
    served.board.post(CHAT, unusable(1))
    assert served.value(ref(NAMED)) == (6, 6.0)
    assert served.stub.IsActive(ref(NAMED), timeout=DEADLINE_S).result
    served.clock.now_s += 161.0
    code, details = served.refusal(ref(NAMED))
    assert code is Code.UNAVAILABLE
    assert details == (
        "prod/chat: Prometheus can't be reached; the last usable decision is 661 s old, and maxAge allows 660 s"
    )
    assert served.value(ref(NAMED | {"maxAge": "1h"})) == (6, 6.0)


def test_a_hold_never_lowers_and_follows_what_the_core_holds_up(served: Served) -> None:
    served.board.post(CHAT, posted(3))
    served.board.post(CHAT, unusable(8))
    assert served.value(ref(NAMED)) == (8, 8.0)


def test_on_missing_unavailable_answers_with_an_error_at_once(served: Served) -> None:
    asked = ref(NAMED | {"onMissing": "unavailable"})
    served.board.post(CHAT, posted(6))
    assert served.value(asked) == (6, 6.0)
    served.board.post(CHAT, unusable(6))
    assert served.refusal(asked)[0] is Code.UNAVAILABLE
    assert served.refusal(asked, "IsActive")[0] is Code.UNAVAILABLE


def test_zero_is_never_held_on_no_data(served: Served) -> None:
    served.board.post(CHAT, posted(0))
    served.board.post(CHAT, unusable(0))
    assert served.refusal(ref(NAMED))[0] is Code.UNAVAILABLE
    assert served.refusal(ref(NAMED), "IsActive")[0] is Code.UNAVAILABLE


@pytest.mark.parametrize(("policy", "lasts_s"), [({}, 660.0), ({"onMissing": "unavailable"}, 120.0)])
def test_when_the_tick_has_stopped_its_last_decision_counts_for_a_while(
    served: Served, policy: dict[str, str], lasts_s: float
) -> None:
    served.board.post(CHAT, posted(6))
    served.clock.now_s += lasts_s
    assert served.value(ref(NAMED | policy)) == (6, 6.0)
    served.clock.now_s += 1.0
    code, details = served.refusal(ref(NAMED | policy))
    assert code is Code.UNAVAILABLE
    assert "s old" in details


def test_a_decision_is_never_too_old_before_the_next_one_is_due(served: Served) -> None:
    served.board.post(CHAT, posted(6, interval_s=3_600.0))
    served.clock.now_s += 3_599.0
    assert served.value(ref(NAMED | {"maxAge": "1s"})) == (6, 6.0)


def test_a_stream_says_true_at_once_and_again(serve: Serve) -> None:
    served = serve(options=Options(repeat_s=0.05))
    served.board.post(CHAT, posted(2))
    stream = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    assert [each.result for each in islice(stream, 3)] == [True, True, True]
    stream.cancel()


def test_a_stream_says_true_with_each_change_to_it_and_never_false(serve: Serve) -> None:
    served = serve(options=Options(repeat_s=3_600.0, stream_s=7_200.0))
    stream = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    _until_open(served)
    for _ in range(3):
        served.board.post(CHAT, posted(0))
        _settle(served)
        served.board.post(CHAT, posted(1))
        assert next(stream).result
    served.board.post(CHAT, posted(2))
    _settle(served)
    served.server.stop(5.0)  # with no grace the stream may be cancelled before it has ended well
    assert list(stream) == []


def test_a_stream_of_an_inline_workload_keeps_it_a_guest(serve: Serve) -> None:
    served = serve(options=Options(repeat_s=3_600.0, stream_s=7_200.0))
    stream = served.stub.StreamIsActive(ref(INLINE), timeout=DEADLINE_S)
    _until_open(served)
    _settle(served)
    assert len(served.guests.objects()) == 1
    served.board.post(inline_key(), posted(1))
    assert next(stream).result


def test_a_stream_ends_well_after_its_time(serve: Serve) -> None:
    served = serve(options=Options(stream_s=0.05))
    stream = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    assert list(stream) == []
    assert stream.code() is Code.OK


def test_streams_are_limited_and_cancelled_ones_make_room(serve: Serve) -> None:
    served = serve(options=Options(streams_max=2, repeat_s=3_600.0, stream_s=7_200.0))
    served.board.post(CHAT, posted(1))
    streams = [served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S) for _ in range(2)]
    assert all(next(stream).result for stream in streams)
    refused = served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)
    with pytest.raises(grpc.RpcError) as caught:
        next(refused)
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    for stream in streams:
        stream.cancel()
    _until_open(served, count=0)
    assert next(served.stub.StreamIsActive(ref(NAMED), timeout=DEADLINE_S)).result


def test_a_stream_with_bad_metadata_is_refused(served: Served) -> None:
    stream = served.stub.StreamIsActive(ref({}), timeout=DEADLINE_S)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is Code.INVALID_ARGUMENT


def test_streams_of_specifications_are_not_offered(served: Served) -> None:
    stream = served.stub.StreamMetricSpec(ref(NAMED), timeout=DEADLINE_S)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is Code.UNIMPLEMENTED


def _until_open(served: Served, count: int = 1) -> None:
    for _ in range(1_000):
        if served.service.streams_open == count:
            return
        time.sleep(0.005)
    raise AssertionError(f"{served.service.streams_open} streams are open, not {count}")


def _settle(served: Served) -> None:
    """Wait until the server's loop has woken what a post woke: calls are answered in turn."""
    for _ in range(3):
        served.stub.GetMetricSpec(ref(NAMED), timeout=DEADLINE_S)
