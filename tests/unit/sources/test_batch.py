"""Many queries as one: only where the answer is provably the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
import pytest
from fake_prometheus import Asked, FakePrometheus, constant, error, matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.sources.batch import SAMPLES_MAX, VALUES_MAX, plan
from autoscaler.sources.batch_sizes import BatchSizes
from autoscaler.sources.connection import Connection
from autoscaler.sources.prometheus import PrometheusSource
from autoscaler.sources.promql import escape_re2
from autoscaler.sources.promql_reader import read_expression, read_matchers
from autoscaler.sources.ranges import Failure, RangeAnswer, RangeRequest, SourceError

START_S = 1_760_000_400.0


def request(query: str, points: int = 3, **more: object) -> RangeRequest:
    return RangeRequest(query, START_S, START_S + 15 * (points - 1), 15, **more)


def planned(*queries: str | RangeRequest, values_max: int = VALUES_MAX) -> list[str]:
    requests = [request(query) if isinstance(query, str) else query for query in queries]
    return sorted(job.query for job in plan(requests, lambda _: values_max))


BATCHED = {
    'sum(rate(m{pod="a",ns="n"}[1m]))': 'sum by (pod) (rate(m{pod=~"a|b",ns="n"}[1m]))',
    'sum(m{pod="a"})': 'sum by (pod) (m{pod=~"a|b"})',
    'count(m{pod="a"} == 1)': 'count by (pod) (m{pod=~"a|b"} == 1)',
    'max(x{pod="a"} or y{pod="a"})': 'max by (pod) (x{pod=~"a|b"} or y{pod=~"a|b"})',
    'avg({__name__="m", pod="a"} / 100)': 'avg by (pod) ({pod=~"a|b",__name__="m"} / 100)',
    'clamp_min(sum(rate(m{pod="a"}[1m])) + sum(deriv((x{pod="a"} + y{pod="a"})[60s:15s])), 0)': (
        'clamp_min(sum by (pod) (rate(m{pod=~"a|b"}[1m]))'
        ' + sum by (pod) (deriv((x{pod=~"a|b"} + y{pod=~"a|b"})[60s:15s])),0)'
    ),
    '2 * sum(max_over_time(rate(m{pod="a"}[1m])[5m:15s])) / sum(n{pod="a",x!~"y"})': (
        '2 * sum by (pod) (max_over_time(rate(m{pod=~"a|b"}[1m])[5m:15s])) / sum by (pod) (n{pod=~"a|b",x!~"y"})'
    ),
}


@pytest.mark.parametrize(("query", "batch"), BATCHED.items())
def test_what_is_understood_is_asked_as_one(query: str, batch: str) -> None:
    assert planned(query, query.replace('pod="a"', 'pod="b"')) == [batch]


@pytest.mark.parametrize(
    "query",
    [
        'sum by (ns) (m{pod="a"})',
        'sum(m{pod="a"}) by (ns)',
        'sum(m{pod="a"}) or vector(0)',
        'sum(m{pod="a"}) / scalar(sum(n))',
        'sum(m{pod="a"}) / sum(n)',
        'sum(m{pod="a"}) + on() sum(n{pod="a"})',
        'sum(m{pod="a"} * on(id) n{pod="a"})',
        'sum(m{pod="a"} * ignoring(pod) n{pod="a"})',
        'sum(m{pod="a"} > bool 1)',
        'sum(m{pod="a"} offset 5m)',
        'sum(m{pod="a"} @ 1700000000)',
        'sum(m{pod="a"}) > bool 1',
        'm{pod="a"}',
        'rate(m{pod="a"}[1m])',
        'sum(sum(m{pod="a"}))',
        'sum(m{pod=~"a"})',
        'sum(m{pod!="a"})',
        'sum(m{pod=""})',
        'sum(m{pod="a",pod="a"})',
        r'sum(m{pod="a\x41"})',
        'sum(m{__name__="a"})',
        'absent(m{pod="a"})',
        'topk(1, m{pod="a"})',
        'quantile(0.9, m{pod="a"})',
        'histogram_quantile(0.9, sum by (le) (rate(m{pod="a"}[1m])))',
        'label_replace(sum(m{pod="a"}), "pod", "b", "", "")',
        'sum(absent_over_time(m{pod="a"}[1m]))',
        'sum(rate(m{pod="a"}))',
        'sum(m{pod="a"}[1m])',
        'sum((m{pod="a"})[1m])',
        'sum(-m{pod="a"})',
        'sum(m{pod="a"}) # all',
        'sum(time() - m{pod="a"})',
        'sum(m{pod="a"}, n{pod="a"})',
        'sum(m{pod="a"}',
        'sum(m{pod="a"}))',
        "sum(" + "(" * 30 + 'm{pod="a"}' + ")" * 30 + ")",
        "sum(" + "rate(" * 500 + 'm{pod="a"}' + ")" * 500 + ")",
        "1 + 1",
        "",
    ],
)
def test_what_is_not_understood_is_asked_as_it_is(query: str) -> None:
    other = re.sub(r'"a(?=["\\])', '"b', query)
    assert set(planned(query, other)) == {query, other}


def test_the_label_that_gathers_most_is_taken() -> None:
    queries = [f'sum(m{{ns="n{k % 2}",pod="p{k:02d}"}})' for k in range(40)]
    first, second = planned(*queries)
    assert first.startswith('sum by (pod) (m{pod=~"p00|p02|p04|')
    assert first.endswith('",ns="n0"})')
    assert second.endswith('",ns="n1"})')


def test_few_that_differ_by_two_labels_are_asked_by_both() -> None:
    queries = [f'sum(m{{ns="n{k % 2}",pod="p{k}",x="y"}})' for k in range(4)]
    assert planned(*queries) == ['sum by (ns,pod) (m{ns=~"n0|n1",pod=~"p0|p2|p1|p3",x="y"})']


def test_a_combination_that_nobody_asked_for_is_nobodys_answer(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    server.series = [
        ({"__name__": "m", "ns": ns, "pod": pod}, constant(value))
        for ns, pod, value in [("a", "x", 1), ("a", "y", 10), ("b", "x", 100), ("b", "y", 1000), ("b", "y", 2000)]
    ]
    asked = [request(f'sum(m{{ns="{ns}",pod="{pod}"}})') for ns, pod in ("ax", "by", "cx")]
    answers = source.fetch(asked)
    assert len(server.asked) == 1
    assert [answers[one].values[0] for one in asked[:2]] == [1, 3000]
    assert np.isnan(answers[asked[2]].values).all()


def test_only_requests_for_the_same_times_and_server_share_a_query() -> None:
    a, b = 'sum(m{pod="a"})', 'sum(m{pod="b"})'
    assert len(planned(request(a), request(b, points=4))) == 2
    assert len(planned(request(a), request(b, endpoint="http://other"))) == 2
    assert len(planned(request(a), request(b, headers=(("X-Scope-OrgID", "t"),)))) == 2


def test_batches_are_bounded_in_values_samples_and_bytes() -> None:
    many = [f'sum(m{{pod="{k:04d}"}})' for k in range(250)]
    assert [query.count("|") + 1 for query in planned(*many)] == [100, 100, 50]
    long = [request(query, points=25_000) for query in many[:120]]
    assert {query.count("|") + 1 for query in planned(*long)} == {50, 20}
    assert SAMPLES_MAX == 50 * 10_000
    assert [query.count("|") + 1 for query in planned(*many[:10], values_max=4)] == [4, 4, 2]
    assert planned(*many[:3], values_max=1) == many[:3]
    wide = [f'sum(m{{pod="{"(" * 60}{k}"}})' for k in range(100)]
    assert max(map(len, planned(*wide))) < 7_000


def test_a_value_with_special_characters_matches_itself_only() -> None:
    for value in [".", "a.b", "x|y", "(", "[a]", "a{2}", "^$", "*+?", "a-b", "é/:"]:
        assert re.fullmatch(escape_re2(value), value)
        assert escape_re2(value) == value or not re.fullmatch(escape_re2(value), "a b")


def test_matchers_are_read_without_braces() -> None:
    assert read_matchers("") == ()
    assert [str(one) for one in read_matchers(" namespace = \"chat\" , pod=~'m-.*', ") or ()] == [
        'namespace="chat"',
        "pod=~'m-.*'",
    ]
    for wrong in ["namespace", '{a="b"}', 'a="b"}', 'a="b" c="d"', "a=b", 'a="b', 'a=="b"', 'a="b"} or vector(0) {']:
        assert read_matchers(wrong) is None


# Hypothesis calls its function often with one set of fixtures: the server is shared, its series are not.
SHARED: list[tuple[FakePrometheus, PrometheusSource]] = []


@pytest.fixture(autouse=True, scope="module")
def shared_server() -> Iterator[None]:
    server = FakePrometheus()
    source = PrometheusSource(Connection(url=server.url), jitter_s=0.0)
    SHARED.append((server, source))
    yield
    SHARED.clear()
    source.close()
    server.close()


VALUES = st.text(st.sampled_from('ab.|(*\\"é{} '), min_size=1, max_size=3)
ZONES = st.sampled_from(["z1", "z.", "w"])
SHAPES = st.sampled_from(
    [
        "sum(m{{pod={0},zone!~'w'}})",
        "max(rate(m{{pod={0}}}[1m]))",
        "count(m{{zone=~'z.*',pod={0}}})",
        "avg(m{{zone={1},pod={0}}})",
    ]
)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(VALUES, ZONES, st.floats(-1e6, 1e6)), max_size=8),
    st.lists(st.tuples(VALUES, ZONES), min_size=1, max_size=6, unique=True),
    SHAPES,
)
def test_a_batch_answers_what_each_query_would(
    data: list[tuple[str, str, float]], asked: list[tuple[str, str]], shape: str
) -> None:
    server, together = SHARED[0]
    server.series = [({"__name__": "m", "pod": pod, "zone": zone}, constant(value)) for pod, zone, value in data]
    requests = [request(shape.replace("'", '"').format(quoted(pod), quoted(zone))) for pod, zone in asked]
    answers = together.fetch(requests)
    for one in requests:
        alone = together.fetch([one])[one]
        assert isinstance(alone, RangeAnswer)
        np.testing.assert_array_equal(answers[one].values, alone.values)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_a_thousand_objects_are_few_queries_and_one_without_series_is_missing(
    server: FakePrometheus, source: PrometheusSource
) -> None:
    server.series = [({"__name__": "m", "pod": f"p{k}"}, constant(k)) for k in range(999)]
    requests = [request(f'sum(m{{pod="p{k}"}})') for k in range(1_000)]
    answers = source.fetch(requests)
    assert len(server.asked) == 10
    assert [answers[one].values[0] for one in requests[:999]] == list(range(999))
    assert np.isnan(answers[requests[999]].values).all()


@pytest.mark.parametrize("by_error", [True, False])
def test_a_batch_that_one_query_spoils_is_asked_singly_at_once(
    server: FakePrometheus, source: PrometheusSource, by_error: bool
) -> None:
    server.series = [({"__name__": "m", "pod": pod}, constant(1)) for pod in "abc"]

    def spoilt(asked: Asked) -> tuple[int, bytes]:
        if "b" in asked.params["query"].partition("=")[2]:
            warned = matrix([], warnings=["PromQL warning: a mix of histograms and floats"])
            return error("execution", "many-to-many matching", 422) if by_error else warned
        return server.evaluate(asked)

    server.answer = spoilt
    requests = [request(f'sum(m{{pod="{pod}"}})') for pod in "abc"]
    answers = source.fetch(requests)
    assert answers[requests[0]].values.tolist() == answers[requests[2]].values.tolist() == [1, 1, 1]
    spoilt_one = answers[requests[1]]
    assert isinstance(spoilt_one, SourceError) if by_error else np.isnan(spoilt_one.values).all()
    assert len(server.asked) == 4


def test_a_partial_batch_is_not_asked_again(server: FakePrometheus, source: PrometheusSource) -> None:
    server.answer = lambda _: matrix([], warnings=["store 1 unavailable"])
    requests = [request(f'sum(m{{pod="{pod}"}})') for pod in "abc"]
    assert all(np.isnan(answer.values).all() and answer.warnings for answer in source.fetch(requests).values())
    assert len(server.asked) == 1


def test_labels_that_are_no_text_spoil_their_own_batch_only(server: FakePrometheus, source: PrometheusSource) -> None:
    other = FakePrometheus()
    other.answer = lambda asked: matrix([{"metric": {"pod": ["a"]}, "values": [[asked.times[0], "1"]]}])
    server.series = [({"__name__": "m", "pod": "a"}, constant(1))]
    bad = [request(f'sum(m{{pod="{pod}"}})', endpoint=other.url) for pod in "ab"]
    answers = source.fetch([*bad, good := request('sum(m{pod="a"})')])
    assert answers[good].values.tolist() == [1, 1, 1]
    assert [answers[one].failure for one in bad] == [Failure.BAD_ANSWER] * 2
    other.close()


def test_a_query_too_heavy_for_the_server_ends_up_alone(server: FakePrometheus, source: PrometheusSource) -> None:
    server.series = [({"__name__": "m", "pod": f"p{k}"}, constant(1)) for k in range(20)]

    def heavy(asked: Asked) -> tuple[int, bytes]:
        return error("timeout", "query timed out", 503) if "p7" in asked.params["query"] else server.evaluate(asked)

    server.answer = heavy
    requests = [request(f'sum(m{{pod="p{k}"}})') for k in range(20)]
    for _ in range(3):
        answers = source.fetch(requests)
    failed = [one.query for one in requests if isinstance(answers[one], SourceError)]
    assert failed == ['sum(m{pod="p7"})']
    assert answers[requests[7]].failure is Failure.TIMEOUT


def test_smaller_batches_are_forgotten_after_an_hour() -> None:
    now = [0.0]
    sizes = BatchSizes(lambda: now[0])
    requests = [request(f'sum(m{{pod="{pod}"}})') for pod in "ab"]
    shape = plan(requests, sizes.values_max)[0].shape
    assert shape is not None
    sizes.shrink(shape, 100)
    assert sizes.values_max(shape) == 25
    sizes.shrink(shape, 3)
    assert sizes.values_max(shape) == 1
    now[0] = 3_600.0
    assert sizes.values_max(shape) == VALUES_MAX


def test_reading_is_linear_in_the_query() -> None:
    expression = read_expression(" + ".join(['sum(m{pod="a"})'] * 500))
    assert expression is not None
    assert expression.selectors == 500
    assert math.isfinite(len(expression.parts))
