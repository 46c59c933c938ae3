"""What may be written on the command line, and the sentence that answers what may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.api import scalars
from autoscaler.api.scalars import DURATION_PATTERN, SHARE_PATTERN
from autoscaler.api.typed import typed_not_negative
from autoscaler.cli import app as command_line
from autoscaler.cli.params import (
    Capacity,
    capacity_by_unit,
    parse_capacity,
    parse_duration_s,
    parse_gpu_budget,
    parse_load_latency,
    parse_positive,
    parse_positive_duration_s,
    share_parser,
)
from autoscaler.errors import UsageError, shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("600s", 600),
        ("10m", 600),
        ("2h", 7200),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1d12h", 129600),
        ("42", 42),
        (" 3 s ", 3),
    ],
)
def test_durations_have_a_unit_or_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "ten", "10x", "10 minutes", "nan", "inf", "1e999", "1h 30m", "1h30", "0x10"])
def test_what_is_no_duration_is_quoted_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"^'.*' is not a duration; write it as 600s, 10m"):
        parse_duration_s(text)


def test_a_negative_duration_and_where_it_matters_an_empty_one_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="'-5s' is negative"):
        parse_duration_s("-5s")
    with pytest.raises(typer.BadParameter, match="'0m' is no time at all"):
        parse_positive_duration_s("0m")
    assert parse_duration_s("0s") == 0


@given(st.one_of(st.from_regex(DURATION_PATTERN, fullmatch=True), st.from_regex(SHARE_PATTERN, fullmatch=True)))
def test_what_an_object_may_state_may_be_typed(text: str) -> None:
    """One grammar: a value copied out of YAML is the same on the command line."""
    for stated, typed in ((scalars.parse_duration_s, parse_duration_s), (scalars.parse_share, _any_share)):
        try:
            value = stated(text)
        except ValueError:
            continue
        if value <= 1e9 if typed is parse_duration_s else value <= 1:
            assert typed(text) == value


_any_share = share_parser(zero=True, one=True)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("50 %", 0.5), ("1e-3%", 1e-5)])
def test_shares_are_percentages_or_fractions(text: str, share: float) -> None:
    assert share_parser()(text) == pytest.approx(share, rel=1e-15)


def test_a_share_keeps_to_its_bounds() -> None:
    exclusive, inclusive = share_parser(), share_parser(zero=True, one=True)
    for end in ("0", "0%", "1", "100%"):
        inclusive(end)
        with pytest.raises(typer.BadParameter, match="it must be more than 0 % and less than 100 %"):
            exclusive(end)
    for beyond in ("-1%", "101%", "50"):
        with pytest.raises(
            typer.BadParameter, match="it must be at least 0 % and at most 100 %, written as 1% or 0.01"
        ):
            inclusive(beyond)
    with pytest.raises(typer.BadParameter, match="'nan' is not a share"):
        inclusive("nan")


def test_a_share_that_lacks_its_percent_sign_is_asked_for() -> None:
    for text, meant in (("1", "1%"), ("50", "50%"), ("2.5", "2.5%")):
        with pytest.raises(typer.BadParameter, match=rf"written as 1% or 0\.01; did you mean {meant}\?$"):
            share_parser()(text)
    for text in ("0", "100", "100%", "101%", "-1"):
        with pytest.raises(typer.BadParameter, match=r"written as 1% or 0\.01$"):
            share_parser()(text)


@given(st.floats(min_value=1e-9, max_value=1, exclude_max=True))
def test_a_default_that_is_a_number_already_comes_back_as_it_is(number: float) -> None:
    parsers: list[Callable[[float], float]] = [share_parser(), parse_duration_s, parse_positive]
    assert [parse(number) for parse in parsers] == [number] * 3


@pytest.mark.parametrize("text", ["", "many", "nan", "-inf", "3,2"])
def test_numbers_are_finite(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a number"):
        parse_positive(text)


def test_zero_is_not_negative_and_not_positive() -> None:
    assert typed_not_negative("0") == 0
    with pytest.raises(typer.BadParameter, match="'0' is not above 0"):
        parse_positive("0")
    with pytest.raises(typer.BadParameter, match="'-1' is negative"):
        parse_load_latency("lognormal:120s,-1")


def test_capacities_name_their_unit_or_take_the_traces() -> None:
    assert parse_capacity("3.2") == Capacity(None, 3.2)
    assert parse_capacity("prompt_tokens=9000") == Capacity("prompt_tokens", 9000.0)
    given = [parse_capacity("3.2"), parse_capacity("prompt_tokens=9000")]
    assert capacity_by_unit(given, "requests") == {"requests": 3.2, "prompt_tokens": 9000.0}


@pytest.mark.parametrize("text", ["0", "prompt_tokens=0", "prompt_tokens=", "=9000", "prompt_tokens", "-1"])
def test_a_capacity_is_above_zero(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_capacity(text)


@pytest.mark.parametrize("text", ["1e300", "prompt_tokens=1e16", "1e-300"])
def test_a_capacity_that_no_replica_has_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is out of range; it must be 1e-15 to 1e\+15"):
        parse_capacity(text)
    assert parse_capacity("1e-15").per_second == 1e-15
    assert parse_capacity("1e15").per_second == 1e15


def test_a_unit_has_one_capacity() -> None:
    with pytest.raises(UsageError, match="--capacity: requests has two capacities, 3.2 and 4"):
        capacity_by_unit([Capacity(None, 3.2), Capacity("requests", 4.0)], "requests")


def test_a_load_latency_is_a_duration_or_a_distribution(tmp_path: Path) -> None:
    loads = tmp_path / "loads.csv"
    loads.write_text("load_s\n20\n\n 40.5 \n30\n")
    assert parse_load_latency("10m").quantiles_s == (600.0,)
    assert parse_load_latency("lognormal:120s,0.5").quantile_s(0.5) == pytest.approx(120)
    empirical = parse_load_latency(f"empirical:{loads}")
    assert (empirical.quantiles_s, empirical.label) == ((20.0, 30.0, 40.5), "loads.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("soon", "'soon' is not a duration"),
        ("-1s", "is negative"),
        ("lognormal:120s", "lacks the spread"),
        ("lognormal:0s,1", "must be more than 0"),
        ("lognormal:120s,-1", "'-1' is negative"),
        ("normal:1,2", "is not a load latency; write it as 600s, lognormal:120s,0.5 or empirical:FILE.csv"),
        ("Stable-Diffusion", "'Stable-Diffusion' is not a load latency; did you mean stable-diffusion[?]$"),
        ("empirical:absent.csv", "^absent.csv: can't be read: No such file or directory$"),
    ],
)
def test_a_load_latency_that_is_none_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        parse_load_latency(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("load_s\n20\nfast\n", "loads.csv, line 3: 'fast' is not a number of seconds, 0 or more"),
        ("20\n-1\n", "loads.csv, line 2: '-1' is not"),
        ("20\nnan\n", "loads.csv, line 2: 'nan' is not"),
        ("nan\n20\n", "loads.csv, line 1: 'nan' is not"),
        ("20,30\n", "loads.csv, line 1: '20,30' is not"),
        ("load_s\n\n", "loads.csv: holds no load latency"),
        (b"\x80\x81\xff", "loads.csv: is not text"),
    ],
)
def test_a_bad_file_of_loads_is_named_with_its_line(tmp_path: Path, content: Any, message: str) -> None:
    loads = tmp_path / "loads.csv"
    loads.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(typer.BadParameter, match=message):
        parse_load_latency(f"empirical:{loads}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("10x", "'10x'"),
        ("a\nb", r"'a\nb'"),
        ("9" * 300, f"'{'9' * 57}...'"),
        (10**300, f"1{'0' * 56}..."),
        (None, "null"),
        (2.5, "2.5"),
    ],
)
def test_what_was_given_is_repeated_in_one_short_piece(given: object, said: str) -> None:
    assert shown(given) == said


DIGITS = "9" * 300
BACKTEST = ("backtest", "TRACE", "--capacity", "1", "--load-latency", "60s", "--against", "none", "--policy", "hpa")
HISTORY = ("history", "--prometheus", "http://127.0.0.1:1", "--query", "up", "-o", "-")


@pytest.mark.parametrize("value", [DIGITS, f"-{DIGITS}", "9" * 5000, "1e308"])
@pytest.mark.parametrize(
    "option",
    [
        *((*BACKTEST, "--" + name) for name in ("capacity", "load-latency", "max-wait", "late-budget", "score-from")),
        *((*BACKTEST, "--" + name) for name in ("min-replicas", "max-replicas", "interval", "node-latency", "seed")),
        *((*BACKTEST, "--" + name) for name in ("start-failures", "drain", "gpu-hour-price", "gpus-per-replica")),
        *((*BACKTEST, "--" + name) for name in ("concurrency", "prefill-speed", "decode-speed", "bin")),
        *((*HISTORY, "--" + name) for name in ("days", "bin", "end", "prometheus-timeout")),
        *(("forecast", "TRACE", "--" + name) for name in ("days", "horizons", "png-horizon")),
        *(("benchmark", "TRACE", "--" + name) for name in ("late-budget", "seed", "mean-replicas", "jobs")),
        ("keda", "check", "TRACE", "--replicas"),
    ],
    ids=lambda option: f"{option[0]} {option[-1]}",
)
def test_a_number_beyond_all_is_refused_in_one_readable_line(
    option: tuple[str, ...], value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "demand.csv"
    trace.write_text("timestamp,requests\n" + "".join(f"{60 * t},{100 + t % 7}\n" for t in range(120)))
    assert command_line.run([*(str(trace) if each == "TRACE" else each for each in option), value]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"headstart: {option[-1]}")
    assert printed.err.count("\n") == 1
    assert len(printed.err) < 240


@pytest.mark.parametrize("text", ["h100", "h100=0", "h100=-4", "h100=1.5", "H100=4", "=4"])
def test_a_gpu_budget_is_a_name_and_at_least_one_gpu(text: str) -> None:
    assert parse_gpu_budget("h100=64") == ("h100", 64)
    with pytest.raises(typer.BadParameter, match="is not NAME=GPUS, such as h100=64"):
        parse_gpu_budget(text)
