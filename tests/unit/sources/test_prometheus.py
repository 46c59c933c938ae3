"""Range queries over HTTP: what a server answers, doesn't answer, or answers wrongly."""

from __future__ import annotations

import json
import math
import socket
import threading

import numpy as np
import pytest
from fake_prometheus import Asked, FakePrometheus, constant, error, matrix

from autoscaler.sources.chunks import Grid
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError

START_S = 1_760_000_400.0
NAN = math.nan


def request(query: str = "sum(up{})", *, points: int = 5, step_s: float = 15.0, **more: object) -> RangeRequest:
    return RangeRequest(query, START_S, START_S + (points - 1) * step_s, step_s, **more)


def answer_of(source: PrometheusSource, asked: RangeRequest) -> RangeAnswer:
    found = source.fetch([asked])[asked]
    assert isinstance(found, RangeAnswer), found
    return found


def failure_of(source: PrometheusSource, asked: RangeRequest) -> SourceError:
    found = source.fetch([asked])[asked]
    assert isinstance(found, SourceError), found
    assert "\n" not in str(found)
    return found


def series(values: list[list[object]], **labels: str) -> dict[str, object]:
    return {"metric": labels, "values": values}


def one_pair(at: str, value: str) -> tuple[int, bytes]:
    return 200, f'{{"data":{{"result":[{{"metric":{{}},"values":[[{at},{value}]]}}]}}}}'.encode()


def test_values_come_on_the_grid_of_the_request(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "up"}, lambda at: at - START_S)]
    assert answer_of(source, request()).values.tolist() == [0, 15, 30, 45, 60]


def test_times_are_sent_exactly_and_not_rounded_to_seconds(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "up"}, lambda at: round(1000 * (at - START_S)))]
    asked = RangeRequest("sum(up{})", START_S + 0.5, START_S + 1.25, 0.25)
    assert answer_of(source, asked).values.tolist() == [500, 750, 1000, 1250]
    assert server.asked[0].params["start"] == f"{START_S + 0.5:.3f}"


def test_an_instant_is_a_range_of_one_point(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "up"}, constant(3))]
    assert answer_of(source, request(points=1)).values.tolist() == [3]


def test_nothing_nan_and_infinity_are_missing_and_zero_is_zero(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    values = [[START_S, "NaN"], [START_S + 15, "+Inf"], [START_S + 30, "0"], [START_S + 45, "-1e-05"]]
    server.answer = lambda _: matrix([series(values)])
    np.testing.assert_array_equal(answer_of(source, request()).values, [NAN, NAN, 0.0, -1e-05, NAN])
    server.answer = lambda _: matrix([])
    assert np.isnan(answer_of(source, request()).values).all()


def test_what_is_off_the_grid_or_there_twice_is_ignored(server: FakePrometheus, source: PrometheusSource) -> None:
    times = [START_S - 15, START_S, START_S, START_S + 7, START_S + 15.001, START_S + 30.0000001, START_S + 75]
    server.answer = lambda _: matrix([series([[at, str(k)] for k, at in enumerate(times)])])
    np.testing.assert_array_equal(answer_of(source, request()).values, [1, NAN, 5, NAN, NAN])


def test_two_series_are_no_answer(server: FakePrometheus, source: PrometheusSource) -> None:
    server.answer = lambda _: matrix([series([[START_S, "1"]], pod="a"), series([[START_S, "1"]], pod="b")])
    failed = failure_of(source, request("up"))
    assert failed.failure is Failure.TOO_MANY_SERIES
    assert "'up' returns 2 series" in str(failed)
    assert "sum(...)" in str(failed)


@pytest.mark.parametrize(
    "more",
    [
        {"warnings": ["store 10.0.0.1 unavailable"]},
        {"warnings": ["PromQL warning: encountered a mix of histograms and floats"]},
        {"isPartial": True},
    ],
)
def test_the_values_of_a_partial_answer_are_missing(
    server: FakePrometheus, source: PrometheusSource, more: dict[str, object]
) -> None:
    server.answer = lambda _: matrix([series([[START_S, "1"]])], **more)
    found = answer_of(source, request())
    assert np.isnan(found.values).all()
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"warnings": ["PromQL info: metric might not be a counter"]},
        {"infos": ["PromQL info: metric might not be a counter"]},
        {"warnings": None},
        {"isPartial": False},
    ],
)
def test_a_remark_leaves_values_as_they_are(
    server: FakePrometheus, source: PrometheusSource, more: dict[str, object]
) -> None:
    server.answer = lambda _: matrix([series([[START_S, "1"]], warnings="a label")], **more)
    found = answer_of(source, request())
    assert found.values[0] == 1
    assert found.warnings == ()


def test_a_long_range_is_asked_in_chunks_that_the_server_allows(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    server.series = [({"__name__": "up"}, lambda at: at - START_S)]
    found = answer_of(source, request(points=25_001)).values
    assert [len(asked.times) for asked in server.asked] == [10_000, 10_000, 5_001]
    np.testing.assert_array_equal(found, 15.0 * np.arange(25_001))


def test_a_chunk_before_the_servers_history_is_missing(server: FakePrometheus, source: PrometheusSource) -> None:
    begins_s = START_S + 15 * 12_000
    server.series = [({"__name__": "up"}, lambda at: 1.0 if at >= begins_s else None)]
    found = answer_of(source, request(points=20_000)).values
    assert np.isnan(found[:12_000]).all()
    assert (found[12_000:] == 1).all()


def test_a_failing_chunk_fails_the_request(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "up"}, constant(1))]

    def later_fails(asked: Asked) -> tuple[int, bytes]:
        return (503, b"") if asked.times[0] > START_S else server.evaluate(asked)

    server.answer = later_fails
    assert failure_of(source, request(points=20_000)).failure is Failure.SERVER_ERROR


@pytest.mark.parametrize(
    ("answer", "failure", "said"),
    [
        (error("bad_data", "parse error: unexpected\n  end", 400), Failure.BAD_QUERY, "parse error: unexpected end"),
        (error("execution", "many-to-many matching not allowed", 422), Failure.BAD_QUERY, "many-to-many"),
        (error("timeout", "query timed out", 503), Failure.TIMEOUT, "took too long: query timed out"),
        ((503, b"<html>Service Unavailable"), Failure.SERVER_ERROR, "HTTP 503: the answer is of no type and not Prom"),
        ((500, b""), Failure.SERVER_ERROR, "HTTP 500: the answer is of no type and not Prometheus' JSON"),
        ((429, b"slow down"), Failure.SERVER_ERROR, "HTTP 429: the answer is of no type and not Prometheus' JSON"),
        ((401, b"secret detail"), Failure.UNAUTHORIZED, "HTTP 401: the credentials are missing or not enough"),
        ((403, b""), Failure.UNAUTHORIZED, "HTTP 403"),
        ((404, b"404 page not found"), Failure.BAD_ANSWER, "no Prometheus API at this address"),
        ((414, b""), Failure.BAD_QUERY, "is too long"),
        ((204, b""), Failure.SERVER_ERROR, "HTTP 204"),
        ((302, b"https://user:pw@login.example/?token=x"), Failure.BAD_ANSWER, "redirects elsewhere; give"),
        ((200, b"<html>please log in"), Failure.BAD_ANSWER, "is of no type and not Prometheus' JSON"),
        ((200, b'{"status":"success"}'), Failure.BAD_ANSWER, "not Prometheus' JSON; check"),
        ((200, b'{"data":{"result":{}}}'), Failure.BAD_ANSWER, "not Prometheus' JSON; check"),
        ((200, b"[]"), Failure.BAD_ANSWER, "not Prometheus' JSON; check"),
        ((200, b'{"data":{"result":[[1,"2"]]}}'), Failure.BAD_ANSWER, "a series without labels"),
        ((200, b'{"data":{"result":[{"metric":{}}]}}'), Failure.BAD_ANSWER, "a series without values"),
        ((200, b'{"data":{"result":[{"metric":{},"values":[[1,"x"]]}]}}'), Failure.BAD_ANSWER, "no number"),
        ((200, b'{"data":{"result":[{"metric":{},"values":[1]}]}}'), Failure.BAD_ANSWER, "no number"),
        ((200, b'{"data":{"result":[{"metric":{},"histograms":[]}]}}'), Failure.BAD_QUERY, "histogram_count"),
        ((200, b'{"data":' + b"[" * 100_000), Failure.BAD_ANSWER, "not Prometheus' JSON; check"),
        ((500, b"[" * 100_000), Failure.SERVER_ERROR, "HTTP 500: the answer is of no type"),
        (one_pair("1", "9" * 400), Failure.BAD_ANSWER, "a value that is no number: int too large"),
        (one_pair("9" * 400, '"1"'), Failure.BAD_ANSWER, "a value that is no number: int too large"),
        (
            (200, b'{"data":{"result":[{"metric":{"pod":["a"]},"values":[]}]}}'),
            Failure.BAD_ANSWER,
            "a label that is no",
        ),
    ],
)
def test_what_a_server_can_say_instead_is_one_line(
    server: FakePrometheus, source: PrometheusSource, answer: tuple[int, bytes], failure: Failure, said: str
) -> None:
    server.answer = lambda _: answer
    failed = failure_of(source, request())
    assert failed.failure is failure
    assert said in str(failed)
    assert len(server.asked) == 1, "nothing is tried again: the next tick will"


SECRET = b"ya29.SECRET-OF-THE-NODE"
TOKEN = b'{"access_token":"' + SECRET + b'","expires_in":3599}'


@pytest.mark.parametrize(
    "body",
    [
        TOKEN,
        SECRET,
        b'{"error":"' + SECRET + b'"}',
        b'{"error":"' + SECRET + b'","errorType":"bad_data"}',
        b'{"status":"error","errorType":"bad_data","error":{"token":"' + SECRET + b'"}}',
        b'{"status":"error","errorType":["bad_data"],"error":"' + SECRET + b'"}',
    ],
)
@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 403, 404, 414, 422, 429, 500, 503])
def test_a_server_that_is_no_prometheus_is_never_quoted(
    server: FakePrometheus, source: PrometheusSource, body: bytes, status: int
) -> None:
    server.answer = lambda _: (status, body)
    server.content_type = "application/json; charset=utf-8"
    said = str(failure_of(source, request()))
    assert SECRET.decode() not in said
    assert f"HTTP {status}" in said or status == 302
    if status in {200, 400, 422, 500}:
        assert "application/json and not Prometheus' JSON" in said


def test_a_server_that_speaks_no_http_is_not_quoted(source: PrometheusSource) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                connection.sendall(SECRET + b"\r\n")
                connection.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        said = str(failure_of(source, request(endpoint=f"http://127.0.0.1:{listening.getsockname()[1]}")))
        assert SECRET.decode() not in said
        assert said.endswith("what listens there doesn't speak HTTP; check the address")
        thread.join(5)


def test_one_bad_query_does_not_spoil_the_others(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "up"}, constant(1))]
    good, bad, backwards = request(), request("sum("), RangeRequest("sum(up{})", START_S, START_S - 60, 15)
    found = source.fetch([good, bad, backwards, good])
    assert isinstance(found[good], RangeAnswer)
    assert [found[wrong].failure for wrong in (bad, backwards)] == [Failure.BAD_QUERY] * 2


def test_an_answer_that_nobody_thought_of_spoils_its_own_query_only(
    server: FakePrometheus, source: PrometheusSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def values_on(_grid: Grid, one: dict[str, object]) -> np.ndarray:
        if one["metric"]:
            raise RuntimeError("a defect\nof ours")
        return np.ones(5)

    def answer(asked: Asked) -> tuple[int, bytes]:
        return matrix([series([], **({"pod": "a"} if asked.params["query"] == "sum(down{})" else {}))])

    monkeypatch.setattr("autoscaler.sources.prometheus.values_on", values_on)
    server.answer = answer
    found = source.fetch([good := request(), bad := request("sum(down{})")])
    assert isinstance(found[good], RangeAnswer)
    assert found[bad].failure is Failure.BAD_ANSWER
    assert str(found[bad]) == "the answer to 'sum(down{})' can't be used: RuntimeError: a defect of ours"
    assert "the answer to 'sum(down{})'" in caplog.text


def test_a_dead_server_is_tried_by_each_thread_at_most_once(server: FakePrometheus) -> None:
    server.close()
    source = PrometheusSource(Connection(url=server.url), concurrency=2, jitter_s=0.0)
    asked = [request(f"sum(m{k}{{}})") for k in range(200)]
    found = source.fetch(asked)
    assert {found[one].failure for one in asked} == {Failure.UNREACHABLE}
    assert len({id(answer) for answer in found.values()}) <= 2
    assert "Connection refused" in str(found[asked[0]])


def test_a_server_that_hangs_is_given_up_after_three_queries(server: FakePrometheus) -> None:
    server.hang.clear()
    source = PrometheusSource(Connection(url=server.url, timeout_s=0.05), concurrency=1, jitter_s=0.0)
    asked = [request(f"sum(m{k}{{}})") for k in range(200)]
    found = source.fetch(asked)
    assert {found[one].failure for one in asked} == {Failure.TIMEOUT}
    assert len(server.asked) == 3
    source.close()


def test_once_the_process_ends_nothing_more_is_asked(server: FakePrometheus) -> None:
    ended = threading.Event()

    def answer(asked: Asked) -> tuple[int, bytes]:
        ended.set()
        return server.evaluate(asked)

    server.answer = answer
    source = PrometheusSource(Connection(url=server.url), concurrency=1, jitter_s=0.0, ended=ended)
    asked = [request(f"sum(m{k}{{}})") for k in range(200)]
    found = source.fetch(asked)
    assert len(server.asked) == 1
    assert isinstance(found[asked[0]], RangeAnswer)
    assert {found[one].failure for one in asked[1:]} == {Failure.UNREACHABLE}
    source.close()


def test_a_fetch_ends_at_its_limit_whatever_the_server_does(server: FakePrometheus) -> None:
    server.hang.clear()
    source = PrometheusSource(Connection(url=server.url), concurrency=2, fetch_timeout_s=0.1, jitter_s=0.0)
    asked = [request(f"sum(m{k}{{}})") for k in range(10)]
    found = source.fetch(asked)
    assert {found[one].failure for one in asked} == {Failure.TIMEOUT}
    source.close()


def test_an_answer_that_trickles_ends_at_the_time_limit(server: FakePrometheus) -> None:
    released = threading.Event()
    source = PrometheusSource(Connection(url=server.url, timeout_s=0.2), jitter_s=0.0)
    handler = server._server.RequestHandlerClass

    def do_get(self: object) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not released.wait(0.02):
            self.wfile.write(b" ")
            self.wfile.flush()

    handler.do_GET = do_get
    try:
        assert failure_of(source, request()).failure is Failure.TIMEOUT
    finally:
        released.set()
        source.close()


@pytest.mark.parametrize("ahead_s", [0.0, 7_200.0, -90.0])
@pytest.mark.parametrize("age_s", [0.0, 600.0])
def test_an_answer_says_how_far_the_servers_clock_is_from_this_one(
    server: FakePrometheus, source: PrometheusSource, ahead_s: float, age_s: float
) -> None:
    server.series = [({"__name__": "up"}, constant(1))]
    server.ahead_s, server.age_s = ahead_s, age_s
    # A date has whole seconds.
    assert -2.0 < answer_of(source, request()).behind_s - ahead_s <= 0.0


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_an_answer_without_a_usable_date_says_nothing_of_clocks(
    server: FakePrometheus, source: PrometheusSource, date: str | None
) -> None:
    server.series = [({"__name__": "up"}, constant(1))]
    handler = server._server.RequestHandlerClass
    send_header = handler.send_header

    def without_date(self: object, name: str, value: str) -> None:
        if name != "Date":
            send_header(self, name, value)
        elif date is not None:
            send_header(self, name, date)

    handler.send_header = without_date
    answer = answer_of(source, request())
    assert answer.values[0] == 1
    assert math.isnan(answer.behind_s)


def test_connections_are_kept_and_one_that_was_lost_is_opened_again(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    server.series = [({"__name__": "up"}, constant(1))]
    for _ in range(3):
        answer_of(source, request())
    assert server.connections == 1
    server.drops = 1
    assert answer_of(source, request()).values[0] == 1
    assert server.connections == 2
    server.drops = 2
    assert failure_of(source, request()).failure is Failure.UNREACHABLE


def test_an_answer_far_too_large_is_cut(server: FakePrometheus, source: PrometheusSource) -> None:
    server.answer = lambda _: (200, b" " * (65 << 20))
    failed = failure_of(source, request())
    assert failed.failure is Failure.TOO_MANY_SERIES
    assert "larger than 64 MiB; aggregate" in str(failed)


def test_a_server_that_hangs_takes_no_threads_from_another(server: FakePrometheus) -> None:
    other = FakePrometheus()
    other.series = [({"__name__": "up"}, constant(1))]
    server.hang.clear()
    source = PrometheusSource(Connection(url=server.url, timeout_s=0.3), concurrency=2, jitter_s=0.0)
    hanging = [request(f"sum(m{k}{{}})") for k in range(10)]
    healthy = [request(f"sum(up{{}}) + {k}", endpoint=other.url) for k in range(10)]
    other.answer = lambda asked: matrix([series([[at, "1"] for at in asked.times])])
    found = source.fetch([*hanging, *healthy])
    assert all(isinstance(found[one], RangeAnswer) for one in healthy)
    assert all(isinstance(found[one], SourceError) for one in hanging)
    source.close()
    other.close()


def test_an_endpoint_that_is_no_address_fails_its_own_requests_only(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    server.series = [({"__name__": "up"}, constant(1))]
    found = source.fetch([request(), wrong := request(endpoint="ftp://u:secret@files")])
    assert isinstance(found[request()], RangeAnswer)
    assert "spec.prometheus.serverAddress: 'ftp://files' is no http or https address" in str(found[wrong])


def test_a_query_is_not_longer_on_the_wire_than_proxies_take(server: FakePrometheus, source: PrometheusSource) -> None:
    server.answer = lambda _: matrix([])
    source.fetch([request(f'sum(up{{pod="{"ü" * 20}-{k}"}})') for k in range(300)])
    assert len(server.asked) > 3
    assert max(len(json.dumps(asked.params["query"])) for asked in server.asked) < 7_000
