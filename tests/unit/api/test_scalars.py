"""Durations and shares: one grammar, and texts that read back as the same number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.api.scalars import (
    DURATION_PATTERN,
    SHARE_PATTERN,
    format_duration,
    format_share,
    parse_duration_s,
    parse_share,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("1h30m", 5400.0), ("250ms", 0.25), ("336h", 1_209_600.0), ("1.5h", 5400.0), ("1m500ms", 60.5)],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "given_",
    ["", "90", "-90s", "1h 30m", "90S", "1us", "s", "1e3s", "٩s", "1h\n", "9" * 40 + "s", None, True, [], 1e999],
)
def test_what_the_api_server_would_not_read_is_no_duration(given_: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 90s, 1h30m or 336h, got"):
        parse_duration_s(given_)


def test_days_are_answered_with_their_hours() -> None:
    with pytest.raises(ValueError, match="must be a duration such as 336h, got '14d'"):
        parse_duration_s("14d")


@given(st.integers(min_value=0, max_value=10**10))
def test_a_formatted_duration_reads_as_the_same_milliseconds(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1_000)
    assert re.fullmatch(DURATION_PATTERN, text)
    assert round(parse_duration_s(text) * 1_000) == milliseconds


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("1 %", 0.01), ("0.01", 0.01), ("0.25%", 0.0025), ("1", 1.0)]
)
def test_a_share_is_a_percentage_or_a_part_of_one(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("given_", ["", "%", "1  %", "1 ", "-1%", "1e-2", "nan", "1%%", ".5", None, False])
def test_what_the_api_server_would_not_read_is_no_share(given_: object) -> None:
    with pytest.raises(ValueError, match="must be a share such as 1% or 0.01, got"):
        parse_share(given_)


@given(st.integers(min_value=1, max_value=99_999))
def test_a_formatted_share_reads_as_the_same_share(thousandths: int) -> None:
    text = format_share(thousandths / 100_000)
    assert re.fullmatch(SHARE_PATTERN, text)
    assert parse_share(text) == pytest.approx(thousandths / 100_000)
