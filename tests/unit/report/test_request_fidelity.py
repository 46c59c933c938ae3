import io
import json
from dataclasses import replace
from math import inf, nan

import pytest
from report_results import make_result, with_policy
from rich.console import Console

from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.percentiles import Percentiles
from autoscaler.backtest.result import BacktestResult, RequestFidelity, RequestFigures
from autoscaler.report import words
from autoscaler.report.page import html_page
from autoscaler.report.picture import write_png
from autoscaler.report.reading import how_to_read
from autoscaler.report.sentence import sentence
from autoscaler.report.table import policy_table, to_json, wait_table

WAIT = Percentiles(0.0, 0.04, 3.21, inf)
FIRST_TOKEN = Percentiles(0.25, 0.5, 125.4, inf)


@pytest.fixture(scope="module")
def fluid() -> BacktestResult:
    return make_result()


@pytest.fixture(scope="module")
def result(fluid) -> BacktestResult:
    """The hand-made result as if its 1,234 requests had been replayed."""
    figures = RequestFigures(WAIT, FIRST_TOKEN, unserved=3, late_work_fraction=0.02, fluid_late_work_fraction=0.005)
    return replace(
        fluid,
        setting=replace(
            fluid.setting, demand_rps={"slots": fluid.setting.demand_rps["requests"]}, capacity_rps={"slots": 3.2}
        ),
        policies=tuple(replace(row, requests=figures) for row in fluid.policies),
        frontiers=(),
        requests=RequestFidelity(1234, EngineSpeed(16, 8000.0, 40.0)),
    )


def printed(table) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(table)
    return out.getvalue()


def test_the_tables_say_that_requests_were_counted_and_how_long_they_waited(result):
    assert "late: requests that waited longer than 10 s" in printed(policy_table(result))
    assert "fluid: chosen on the work per bin" in printed(policy_table(result))
    waits = printed(wait_table(result))
    assert max(len(line) for line in waits.splitlines()) <= 100
    own = next(line for line in waits.splitlines() if line.startswith("headstart"))
    assert own.split() == [
        "headstart",
        "0",
        "0.04",
        "3.2",
        "never",
        "0.25",
        "0.50",
        "125",
        "never",
        "2",
        "%",
        "0.5",
        "%",
    ]
    assert "in bins: as the model in bins counts it" in waits
    assert "1,234 requests; seconds from arrival" in waits


def test_the_fluid_fidelity_has_no_waits(fluid):
    assert wait_table(fluid) is None
    assert "Waits of single requests" not in html_page(fluid)
    found = to_json(fluid)
    assert found["fidelity"] == found["settings"]["fidelity"] == "fluid"
    assert "requests" not in found
    assert "requests" not in found["policies"]["headstart"]


def test_bins_wider_than_the_limit_are_told_of_unless_requests_were_counted(fluid, result):
    assert fluid.setting.bin_s > fluid.setting.max_wait_s
    narrow = replace(fluid, setting=replace(fluid.setting, max_wait_s=fluid.setting.bin_s))
    for told, expected in ((fluid, True), (narrow, False), (result, False)):
        assert (
            "wider than that: what waits in a burst within one isn't seen" in printed(policy_table(told))
        ) == expected
        assert any("burst within one isn't seen" in text for text in how_to_read(told)) == expected
    assert max(len(line) for line in printed(policy_table(fluid)).splitlines()) <= 100


def test_the_optimum_is_told_as_nearly_the_cheapest(fluid, result):
    for told in (fluid, result):
        what = "it is nearly the cheapest plan that is never late. A policy that may be late can cost less."
        texts = how_to_read(told)
        assert any(text.startswith("'optimum' knows the whole trace: ") and what in text for text in texts)


def test_json_holds_waits_and_speeds_and_an_infinite_wait_is_null(result):
    found = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert (found["fidelity"], found["requests"]) == ("request", 1234)
    assert found["policies"]["hpa"]["requests"] == {
        "unserved": 3,
        "late_work_fraction": 0.02,
        "fluid_late_work_fraction": 0.005,
        "wait_s": {"p50": 0.0, "p90": 0.04, "p99": 3.21, "max": None},
        "first_token_s": {"p50": 0.25, "p90": 0.5, "p99": 125.4, "max": None},
    }
    settings = found["settings"]
    assert (settings["concurrency"], settings["prefill_tokens_per_s"], settings["decode_tokens_per_s"]) == (16, 8e3, 40)


def test_the_sentence_speaks_of_requests_and_of_the_hpas_replayed(result):
    tried = with_policy(result, "headstart", replica_hours=800.0, late_fraction=0.006)
    tried = with_policy(tried, "hpa", replica_hours=900.0, late_fraction=0.04)
    tried = with_policy(tried, "hpa-best", replica_hours=1000.0, late_fraction=0.005)
    assert sentence(tried) == (
        "Headstart would have served this trace with 800 GPU-hours, 20 % fewer (200 GPU-hours, $500) than the cheapest "
        "HPA replayed here that is at most as late, with 0.6 % of requests waiting longer than 10 s (asked: 1 %)."
    )


def test_the_page_shows_the_waits_and_says_what_is_fluid(result, tmp_path):
    page = html_page(result)
    assert "<h2>Waits of single requests</h2>" in page
    assert "1,234 requests, in seconds from arrival." in page
    assert "every request of the log was replayed through each plan" in page
    assert "lines: all targets tried" not in page
    assert '"late_of":"requests"' in page
    write_png(result, tmp_path / "report.png")


def test_waits_read_as_seconds_with_as_many_digits_as_matter():
    values = (0.0, 0.004, 0.345, 0.95, 3.21, 99.94, 125.4, 12_345.0, inf, nan)
    assert [words.wait_s(value) for value in values] == [
        "0", "0.00", "0.34", "0.95", "3.2", "99.9", "125", "12,345", "never", "-",
    ]  # fmt: skip
