"""Brackets and quotes of a query: what has no partner is told with its place."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.api.query import Query

QUERY: TypeAdapter[str] = TypeAdapter(Query)


@pytest.mark.parametrize(
    "query",
    [
        "up",
        'sum(rate(gateway_requests_total{service="chat"}[1m]))',
        """sum(a{b="(\\"[", c='}"', d=`\\`}) # it's (not PromQL)""",
        "sum(\n  a # of (all\n)",
        '{"http.requests", path=~"/v1/(chat|completions)"}',
    ],
)
def test_what_is_closed_is_a_query(query: str) -> None:
    assert QUERY.validate_python(query) == query


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sum(rate(a[1m])", "has a ( at character 4 that nothing closes"),
        ("sum(a))", "has a ) at character 7 that nothing opens"),
        ('a{b="c"', "has a { at character 2 that nothing closes"),
        ("rate(a[1m)", "has a [ at character 7, and a ) at character 10 that doesn't close it"),
        ('a{b="c}', 'has a quote " at character 5 that nothing closes'),
        ("a{b='c\n'}", "has a quote ' at character 5 that nothing closes"),
        ("a{b=`c}", "has a quote ` at character 5 that nothing closes"),
        ("sum(a # )", "has a ( at character 4 that nothing closes"),
    ],
)
def test_what_has_no_partner_is_told_with_its_place(query: str, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        QUERY.validate_python(query)
    assert told in str(error.value)
