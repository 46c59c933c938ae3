"""Past demand as a trace: bins, what is missing, what is doubted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoscaler.errors import HeadstartError, UsageError
from autoscaler.sources.history import fetch_history
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError

NAN = math.nan
STOP_S = 1_760_000_400.0
ARRIVALS = "sum(rate(gateway_requests_total[1m]))"


class Known:
    """Answers by query, with values for the latest points; NaN before them."""

    def __init__(self, **answers: list[float] | SourceError) -> None:
        self.answers = answers
        self.asked: list[RangeRequest] = []

    def fetch(self, requests: list[RangeRequest]) -> dict[RangeRequest, RangeAnswer | SourceError]:
        self.asked += requests
        found: dict[RangeRequest, RangeAnswer | SourceError] = {}
        for request in requests:
            answer = self.answers.get(request.query, self.answers.get("any", []))
            if isinstance(answer, SourceError):
                found[request] = answer
                continue
            values = np.full(request.points, NAN)
            if answer:
                values[-len(answer) :] = answer
            found[request] = RangeAnswer(values, ("a store is away",) if "partial" in self.answers else ())
        return found


def history(source: Known, queries: dict[str, str] | None = None, **more: float):
    options = {"bin_s": 60.0, "stop_s": STOP_S + 59.9, "duration_s": 600.0} | more
    return fetch_history(source, queries or {"requests": ARRIVALS}, name="chat", **options)


def test_the_value_at_a_bins_end_is_the_rate_of_the_bin() -> None:
    source = Known(any=[float(k) for k in range(10)])
    found = history(source).trace
    assert (source.asked[0].start_s, source.asked[0].stop_s) == (STOP_S - 540, STOP_S)
    assert (found.start_s, found.bin_s, found.dated, found.name) == (STOP_S - 600, 60.0, True, "chat")
    assert found.demand["requests"].tolist() == [60.0 * k for k in range(10)]


def test_bins_before_the_servers_history_are_not_part_of_the_trace_and_later_gaps_are_missing() -> None:
    found = history(Known(a=[NAN, 2.0, NAN, 4.0], b=[1.0, NAN, 0.0, NAN]), {"requests": "a", "tokens": "b"})
    np.testing.assert_array_equal(found.trace.demand["requests"], [NAN, 120, NAN, 240])
    np.testing.assert_array_equal(found.trace.demand["tokens"], [60, NAN, 0, NAN])
    assert found.trace.start_s == STOP_S - 240
    assert (found.trace.duration_s, found.asked_s) == (240.0, 600.0)


def test_bins_of_parts_of_seconds_are_exact() -> None:
    found = history(Known(any=[1.0, 2.0]), bin_s=0.25, stop_s=STOP_S + 0.6, duration_s=0.5).trace
    assert (found.start_s, found.demand["requests"].tolist()) == (STOP_S, [0.25, 0.5])


def test_negative_work_is_missing() -> None:
    found = history(Known(any=[1.0, -1.0, 3.0]))
    np.testing.assert_array_equal(found.trace.demand["requests"], [60, NAN, 180])
    assert found.warnings == ("requests: 1 negative values are left out; work can't be negative",)


def test_what_the_server_warns_of_and_what_is_doubtful_is_told() -> None:
    queries = {"a": "sum(rate(vllm:request_success_total[5m]))", "b": "sum(rate(x[30s]))"}
    warnings = history(Known(any=[1.0], partial=[]), queries).warnings
    assert len(warnings) == 4
    assert warnings[0].startswith("a: vllm:request_success_total counts what the engine served")
    assert warnings[1] == "a: the server warns: a store is away"
    assert warnings[2].startswith("b: the query looks back 30 s and bins are 60 s wide")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"bin_s": 0.0001}, "--bin: 0.0001 s is not a whole number of milliseconds"),
        ({"duration_s": 30.0}, "--days: 0.000347222 days have 0 bins of 60 s; it must be 1 to 5,000,000 bins"),
        ({"duration_s": 1e12}, "it must be 1 to 5,000,000 bins, at most 3472 days of such"),
    ],
)
def test_bins_that_make_no_trace_are_refused(more: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        history(Known(), **more)


def test_a_query_without_an_answer_or_without_values_fails() -> None:
    with pytest.raises(SourceError, match="no answer"):
        history(Known(any=SourceError(Failure.TIMEOUT, "no answer")))
    with pytest.raises(HeadstartError) as raised:
        history(Known())
    assert str(raised.value) == (
        f"requests: the query '{ARRIVALS}' has no value in all 10 bins; try it in the server's own page"
    )
    with pytest.raises(HeadstartError, match=r"\(a store is away\)"):
        history(Known(partial=[]))
