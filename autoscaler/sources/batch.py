"""One query instead of many that differ by the values of one label, or of two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from urllib.parse import quote

from autoscaler.sources.chunks import POINTS_MAX, Grid
from autoscaler.sources.connection import Headers
from autoscaler.sources.promql import Expression, escape_re2
from autoscaler.sources.promql_reader import read_expression
from autoscaler.sources.ranges import RangeRequest

VALUES_MAX = 100
# What a server answers at once: 500,000 samples are some 15 MB.
SAMPLES_MAX = 500_000
# Proxies take 8 KiB for the request line; the address, times and the client's own parameters need the rest.
_QUERY_BYTES_MAX = 7_000

# So many queries that differ by one label need no second one.
_MANY = 20
# Labels of a query that are looked at; a selector rarely fixes more, and pairs grow with the square.
_LABELS_MAX = 6

Values = tuple[str, ...]
"""Values of a shape's labels, in their order."""

Endpoint = tuple[str, Headers]
"""Address and headers of a request."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What queries share that may be asked as one.

    Attributes:
        expression: without `labels`.
        labels: one or two, by whose values the queries differ.
    """

    expression: Expression
    labels: tuple[str, ...]
    grid: Grid
    endpoint: Endpoint

    @property
    def key(self) -> tuple[Expression, tuple[str, ...], Endpoint]:
        """The shape, whatever the times."""
        return self.expression, self.labels, self.endpoint


@dataclass(frozen=True, slots=True)
class Job:
    """One query and whose answer it is.

    Attributes:
        shape: what the queries in it have in common; None where it is one query as it was given.
        members: values of the shape's labels -> the requests that the series with them answers; () for a single query.
    """

    query: str
    grid: Grid
    endpoint: Endpoint
    shape: Shape | None
    members: Mapping[Values, tuple[RangeRequest, ...]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that tell the answer's series apart; () where there may be only one."""
        return () if self.shape is None else self.shape.labels

    @property
    def requests(self) -> Iterator[RangeRequest]:
        """All requests that it answers."""
        return (request for requests in self.members.values() for request in requests)


def single(request: RangeRequest) -> Job:
    """The job of one request, with its query as given. ValueError where its times are no grid."""
    return Job(request.query, Grid.of(request), (request.endpoint, request.headers), None, {(): (request,)})


def plan(requests: Sequence[RangeRequest], values_max: Callable[[Shape], int]) -> list[Job]:
    """As few jobs as are proven to give each request the answer of its own query.

    Args:
        requests: distinct.
        values_max: the most members that may be in one query of a shape.
    """
    jobs: list[Job] = []
    taken: set[RangeRequest] = set()
    for shape, members in sorted(_by_shape(requests).items(), key=_rank):
        left = {values: tuple(r for r in found if r not in taken) for values, found in members.items()}
        left = {values: found for values, found in left.items() if found}
        for batch in _cut(shape, left, values_max(shape)):
            jobs.append(batch)
            taken.update(batch.requests)
    jobs.extend(single(request) for request in requests if request not in taken)
    return jobs


def _by_shape(requests: Iterable[RangeRequest]) -> dict[Shape, dict[Values, list[RangeRequest]]]:
    found: dict[Shape, dict[Values, list[RangeRequest]]] = defaultdict(lambda: defaultdict(list))
    for request in requests:
        expression = read_expression(request.query)
        if expression is None:
            continue
        fixed = sorted(expression.values().items())[:_LABELS_MAX]
        for several in (*combinations(fixed, 1), *combinations(fixed, 2)):
            labels, values = zip(*several, strict=True)
            shape = Shape(expression.without(labels), labels, Grid.of(request), (request.endpoint, request.headers))
            found[shape][values].append(request)
    return found


def _rank(item: tuple[Shape, Mapping[Values, object]]) -> tuple[bool, int]:
    """The order in which shapes take their members: those that gather many by one label, then the largest.

    Where queries differ by pod, `pod` gathers them all and `namespace` only those of equal pod. Two labels gather more
    than each alone, but their answer may hold combinations that nobody asked for.
    """
    shape, members = item
    gathers_many = len(shape.labels) == 1 and len(members) >= _MANY
    return not gathers_many, -len(members)


def _cut(shape: Shape, members: Mapping[Values, tuple[RangeRequest, ...]], values_max: int) -> Iterator[Job]:
    """Batches of at least two members, within the limits of values, samples and bytes."""
    most = min(values_max, VALUES_MAX, max(1, SAMPLES_MAX // min(shape.grid.points, POINTS_MAX)))
    frame_bytes = len(quote(shape.expression.by(dict.fromkeys(shape.labels, ()))))
    batch: list[Values] = []
    used = frame_bytes
    for values in sorted(members):
        size = shape.expression.selectors * sum(
            len(quote("|" + escape_re2(value).replace("\\", "\\\\"))) for value in values
        )
        if batch and (len(batch) >= most or used + size > _QUERY_BYTES_MAX):
            yield from _job(shape, members, batch)
            batch, used = [], frame_bytes
        batch.append(values)
        used += size
    yield from _job(shape, members, batch)


def _job(shape: Shape, members: Mapping[Values, tuple[RangeRequest, ...]], batch: list[Values]) -> Iterator[Job]:
    if len(batch) > 1:
        columns = zip(shape.labels, zip(*batch, strict=True), strict=True)
        query = shape.expression.by({label: list(dict.fromkeys(column)) for label, column in columns})
        yield Job(query, shape.grid, shape.endpoint, shape, {values: members[values] for values in batch})
