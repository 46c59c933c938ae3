"""One query instead of many that differ by the value of one label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from autoscaler.sources.chunks import POINTS_MAX, Grid
from autoscaler.sources.connection import Headers
from autoscaler.sources.promql import Expression, escape_re2, read_expression
from autoscaler.sources.ranges import RangeRequest

VALUES_MAX = 100
# What a server answers at once: 500,000 samples are some 15 MB.
SAMPLES_MAX = 500_000
# Proxies take 8 KiB for the request line; the address, times and the client's own parameters need the rest.
_QUERY_BYTES_MAX = 7_000

Endpoint = tuple[str, Headers]
"""Address and headers of a request."""


@dataclass(frozen=True, slots=True)
class Job:
    """One query and whose answer it is.

    Attributes:
        shape: what the queries in it have in common; None where it is one query as it was given.
        label: the label that tells the answer's series apart; '' for a single query.
        members: the label's value -> the requests that it answers; the value is '' for a single query.
    """

    query: str
    grid: Grid
    endpoint: Endpoint
    shape: Shape | None
    label: str
    members: Mapping[str, tuple[RangeRequest, ...]]

    @property
    def requests(self) -> Iterator[RangeRequest]:
        """All requests that it answers."""
        return (request for requests in self.members.values() for request in requests)


@dataclass(frozen=True, slots=True)
class Shape:
    """What queries share that may be asked as one."""

    expression: Expression
    label: str
    grid: Grid
    endpoint: Endpoint

    @property
    def key(self) -> tuple[Expression, str, Endpoint]:
        """The shape, whatever the times."""
        return self.expression, self.label, self.endpoint


def single(request: RangeRequest) -> Job:
    """The job of one request, with its query as given. ValueError where its times are no grid."""
    return Job(request.query, Grid.of(request), (request.endpoint, request.headers), None, "", {"": (request,)})


def plan(requests: Iterable[RangeRequest], values_max: Callable[[Shape], int]) -> list[Job]:
    """As few jobs as are proven to give each request the answer of its own query.

    Args:
        requests: distinct.
        values_max: the most label values that may be in one query of a shape.
    """
    jobs, values_by_shape = [], _by_shape(requests)
    taken: set[RangeRequest] = set()
    # The largest first: where queries differ by pod, `pod` gathers them all, and `namespace` only those of equal pod.
    for shape, members in sorted(values_by_shape.items(), key=lambda item: -len(item[1])):
        left = {value: tuple(r for r in found if r not in taken) for value, found in members.items()}
        left = {value: found for value, found in left.items() if found}
        if len(left) < 2:
            continue
        for batch in _cut(shape, left, values_max(shape)):
            jobs.append(batch)
            taken.update(batch.requests)
    jobs.extend(single(request) for request in requests if request not in taken)
    return jobs


def _by_shape(requests: Iterable[RangeRequest]) -> dict[Shape, dict[str, list[RangeRequest]]]:
    found: dict[Shape, dict[str, list[RangeRequest]]] = defaultdict(lambda: defaultdict(list))
    for request in requests:
        expression = read_expression(request.query)
        if expression is None:
            continue
        for label, value in expression.values().items():
            shape = Shape(expression.without(label), label, Grid.of(request), (request.endpoint, request.headers))
            found[shape][value].append(request)
    return found


def _cut(shape: Shape, members: Mapping[str, tuple[RangeRequest, ...]], values_max: int) -> Iterator[Job]:
    """Batches of at least two values, within the limits of values, samples and bytes."""
    most = min(values_max, VALUES_MAX, max(1, SAMPLES_MAX // min(shape.grid.points, POINTS_MAX)))
    frame_bytes = len(quote(shape.expression.by(shape.label, ())))
    batch: list[str] = []
    bytes_each = shape.expression.selectors
    used = frame_bytes
    for value in sorted(members):
        size = bytes_each * len(quote("|" + escape_re2(value).replace("\\", "\\\\")))
        if batch and (len(batch) >= most or used + size > _QUERY_BYTES_MAX):
            yield from _job(shape, members, batch)
            batch, used = [], frame_bytes
        batch.append(value)
        used += size
    yield from _job(shape, members, batch)


def _job(shape: Shape, members: Mapping[str, tuple[RangeRequest, ...]], values: list[str]) -> Iterator[Job]:
    if len(values) > 1:
        query = shape.expression.by(shape.label, values)
        yield Job(query, shape.grid, shape.endpoint, shape, shape.label, {value: members[value] for value in values})
