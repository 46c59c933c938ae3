"""`headstart backtest`: the contract of its files, one line for each mistake, and never half a file."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoscaler.cli import app as command_line
from autoscaler.errors import HeadstartError

BIN_S = 600
BINS = 3 * 144
CAPACITY = 3.2
LOAD_S = 1500
MAX_WAIT_S = 20
OPTIONS = ["--capacity", CAPACITY, "--load-latency", f"{LOAD_S}s", "--max-wait", f"{MAX_WAIT_S}s"]
START = datetime(2025, 3, 1, tzinfo=UTC)


def make_counts(seed=0):
    """Requests per bin: a day's wave, bursts, and missing bins also at both ends; None is missing."""
    rng = np.random.default_rng(seed)
    rate = 20 + 14 * np.sin(2 * np.pi * np.arange(BINS) / 144)
    rate[rng.random(BINS) < 0.03] *= 3
    rate[350:356] = 400.0  # nobody can foresee it: some work is late
    counts = [int(count) for count in rng.poisson(rate * BIN_S)]
    missing = {0, 77, BINS - 1, *range(200, 206), *np.flatnonzero(rng.random(BINS) < 0.03).tolist()}
    return [None if t in missing else count for t, count in enumerate(counts)]


def time_of(t):
    return f"{START + timedelta(seconds=BIN_S * t):%Y-%m-%dT%H:%M:%SZ}"


def write_csv(path: Path, counts, times=time_of) -> Path:
    rows = "".join(f"{times(t)},{'' if count is None else count}\n" for t, count in enumerate(counts))
    path.write_text("timestamp,requests\n" + rows)
    return path


def run(*arguments: object) -> int:
    return command_line.run(["backtest", *map(str, arguments)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> Path:
    return write_csv(tmp_path_factory.mktemp("trace") / "demand.csv", make_counts())


@pytest.fixture(scope="module")
def outputs(trace, tmp_path_factory) -> Path:
    """The directory of one run's plan.csv, result.json, report.html and report.png."""
    directory = tmp_path_factory.mktemp("outputs")
    files = {"plan": "plan.csv", "json": "result.json", "html": "report.html", "png": "report.png"}
    named = [part for kind, name in files.items() for part in (f"--{kind}-out", directory / name)]
    assert run(trace, *OPTIONS, "--late-budget", "1%", "--score-from", "50%", "--policy", "headstart", *named) == 0
    assert sorted(path.name for path in directory.iterdir()) == sorted(files.values())
    return directory


def test_the_plan_has_a_row_per_bin_of_the_whole_trace(trace, outputs):
    assert (outputs / "plan.csv").read_text().splitlines()[0] == "timestamp,demand,desired"
    plan = rows_of(outputs / "plan.csv")
    given = rows_of(trace)
    assert [row["timestamp"] for row in plan] == [row["timestamp"] for row in given]
    assert [row["demand"] for row in plan] == [row["requests"] for row in given]
    assert all(row["desired"].isdigit() for row in plan)


def replay_plan(plan, *, load_s=LOAD_S, max_wait_s=MAX_WAIT_S, capacity=CAPACITY, score_from=0.5):
    """Replica-hours and late fraction of a plan, from the words of the contract alone.

    A replica ordered in a row is paid for from that bin and serves ceil(load / bin) bins later; a surplus one leaves
    at once, loading ones first. Missing demand is served as the linear fill. Late are arrivals, uniform within a bin,
    that find more than the longest wait queued at the ready capacity of that moment; with no ready replica, all.
    """
    load_bins = math.ceil(load_s / BIN_S)
    given = [float(row["demand"]) if row["demand"] else math.nan for row in plan]
    known = [t for t, count in enumerate(given) if not math.isnan(count)]
    ready, loading, queued = 0, [], 0.0
    paid = late = arrived = 0.0
    for t, row in enumerate(plan):
        before = max((k for k in known if k <= t), default=known[0])
        after = min((k for k in known if k >= t), default=known[-1])
        weight = (t - before) / (after - before) if before < t < after else 0.0
        count = given[before] * (1 - weight) + given[after] * weight if before <= t else given[after]
        ready += sum(1 for due in loading if due == t)
        loading = [due for due in loading if due != t]
        change = int(row["desired"]) - ready - len(loading)
        loading += [t + load_bins] * max(change, 0)
        for _ in range(-change):
            if loading:
                loading.pop()
            else:
                ready -= 1
        serves_per_s = ready * capacity
        share = share_above(queued, count / BIN_S - serves_per_s, max_wait_s * serves_per_s) if ready else 1.0
        queued = max(0.0, queued + count - serves_per_s * BIN_S)
        if t >= len(plan) * score_from:
            paid += ready + len(loading)
            late += share * count
            arrived += count
    return paid * BIN_S / 3600, late / arrived


def share_above(queued, slope, limit):
    """Share of a bin's seconds in which a queue of `queued` at its start, changing by `slope`, is above `limit`."""
    end = queued + slope * BIN_S
    if queued > limit and end > limit:
        return 1.0
    if queued <= limit and end <= limit:
        return 0.0
    crossing = (limit - queued) / slope / BIN_S
    return crossing if slope < 0 else 1.0 - crossing


def test_replaying_the_plan_gives_the_same_cost_and_lateness(outputs):
    replica_hours, late_fraction = replay_plan(rows_of(outputs / "plan.csv"))
    found = json.loads((outputs / "result.json").read_text())["policies"]["headstart"]
    assert found["replica_hours"] == pytest.approx(replica_hours, rel=1e-9)
    assert found["late_fraction"] == pytest.approx(late_fraction, rel=1e-9)
    assert late_fraction > 0


@pytest.mark.parametrize("policy", ["hpa", "hpa-best", "optimum"])
def test_any_policys_plan_can_be_written(policy, trace, tmp_path):
    plan, result = tmp_path / "plan.csv", tmp_path / "result.json"
    assert run(trace, *OPTIONS, "--policy", policy, "--against", "none", "--plan-out", plan, "--json-out", result) == 0
    found = json.loads(result.read_text())["policies"]
    assert set(found) == {policy, "optimum"}
    replica_hours, late_fraction = replay_plan(rows_of(plan))
    assert found[policy]["replica_hours"] == pytest.approx(replica_hours, rel=1e-9)
    assert found[policy]["late_fraction"] == pytest.approx(late_fraction, rel=1e-9, abs=1e-12)


def test_cutting_the_trace_after_a_bin_changes_no_row_up_to_it(outputs, tmp_path):
    whole = rows_of(outputs / "plan.csv")
    for t in (5, 150, 203, 300):
        counts = make_counts()[: t + 1]
        cut, plan = write_csv(tmp_path / "cut.csv", counts), tmp_path / "plan.csv"
        assert run(cut, *OPTIONS, "--against", "none", "--plan-out", plan) == 0
        assert rows_of(plan) == whole[: t + 1]


def test_the_result_for_machines(trace, outputs):
    found = json.loads((outputs / "result.json").read_text())
    assert next(iter(found["policies"])) == "headstart"
    assert {"hpa", "hpa-best", "keda", "keda-best", "knative", "knative-best", "static", "optimum"} <= set(
        found["policies"]
    )
    for row in found["policies"].values():
        for key in ("replica_hours", "late_fraction", "late_bins", "mean_utilisation", "cost_over_optimum"):
            assert math.isfinite(row[key])
        assert row["cost_over_optimum"] == pytest.approx(
            row["replica_hours"] / found["policies"]["optimum"]["replica_hours"]
        )
    settings = found["settings"]
    assert settings["capacity_rps"] == {"requests": CAPACITY}
    assert (settings["max_wait_s"], settings["late_budget"], settings["score_from_bin"]) == (20.0, 0.01, BINS // 2)
    assert found["seed"] == 0
    assert {"headstart", "python", "numpy"} <= set(found["versions"])
    assert found["trace"]["bins"] == BINS
    assert found["trace"]["missing_bins"] == sum(count is None for count in make_counts())


def test_the_report_and_the_picture_are_there(outputs):
    assert (outputs / "report.html").read_text().lower().startswith("<!doctype html>")
    assert (outputs / "report.png").read_bytes().startswith(b"\x89PNG")


def test_with_json_standard_output_is_json_and_nothing_else(trace, outputs, tmp_path, capsys):
    options = [*OPTIONS, "--against", "none"]
    assert run(trace, *options, "--json", "--plan-out", tmp_path / "plan.csv") == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["policies"]) == {"headstart", "optimum"}
    kept = json.loads((outputs / "result.json").read_text())
    assert printed["policies"]["headstart"] == kept["policies"]["headstart"]


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--policy", "--policy: there is no policy 'hpaa': choose from headstart, hpa,"),
        ("--against", "--against: there is no policy 'hpaa': choose from headstart, hpa,"),
        ("--member", "--member: the forecast has no member 'hpaa': choose from regression,"),
    ],
)
def test_a_name_that_is_none_is_told_with_its_option_before_anything_is_read(option, line, capsys):
    assert run("no-such-trace.csv", *OPTIONS, option, "hpaa") == 2
    assert capsys.readouterr().err.startswith(f"headstart: {line}")


def test_the_table_and_the_sentence_are_printed(trace, capsys):
    assert run(trace, *OPTIONS, "--against", "hpa") == 0
    printed = capsys.readouterr().out
    for text in ("Headstart", "HPA, target", "Optimum in hindsight", "GPU-hours"):
        assert text in printed


def test_twice_the_same_is_the_same_to_the_byte(trace, tmp_path):
    plans = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for plan in plans:
        options = ["--load-latency", "lognormal:1200s,0.5", "--seed", "7", "--against", "none", "--plan-out", plan]
        assert run(trace, "--capacity", "3.2", *options) == 0
    assert plans[0].read_bytes() == plans[1].read_bytes()


@pytest.mark.parametrize(("score_from", "first_bin"), [("0%", 0), ("0.25", 108), ("25 %", 108), ("99.9%", 431)])
def test_a_share_says_where_scoring_begins(score_from, first_bin, trace, tmp_path):
    result = tmp_path / "result.json"
    options = ["--policy", "hpa", "--against", "none", "--score-from", score_from, "--json-out", result]
    assert run(trace, *OPTIONS, *options) == 0
    assert json.loads(result.read_text())["settings"]["score_from_bin"] == first_bin


def test_times_come_back_as_the_trace_has_them(tmp_path):
    plan = tmp_path / "plan.csv"
    for times in (lambda t: str(BIN_S * t), lambda t: f"{0.25 + t / 4:g}", time_of):
        trace = write_csv(tmp_path / "demand.csv", [10, 20, None, 30, 40, 50], times)
        assert run(trace, "--capacity", "1", "--load-latency", "0.5s", "--against", "none", "--plan-out", plan) == 0
        assert [row["timestamp"] for row in rows_of(plan)] == [times(t) for t in range(6)]
        assert [row["demand"] for row in rows_of(plan)] == ["10", "20", "", "30", "40", "50"]


def test_rows_that_are_absent_are_bins_too(tmp_path):
    trace, plan = tmp_path / "demand.csv", tmp_path / "plan.csv"
    trace.write_text("timestamp,requests\n0,10\n60,20\n120,30\n300,40\n360,50\n")
    assert run(trace, "--capacity", "1", "--load-latency", "60s", "--against", "none", "--plan-out", plan) == 0
    assert [(row["timestamp"], row["demand"]) for row in rows_of(plan)] == [
        ("0", "10"), ("60", "20"), ("120", "30"), ("180", ""), ("240", ""), ("300", "40"), ("360", "50"),
    ]  # fmt: skip


def test_parquet_in_and_out_is_the_same_plan(trace, outputs, tmp_path):
    given = rows_of(trace)
    table = pa.table(
        {
            "timestamp": pa.array(
                [START + timedelta(seconds=BIN_S * t) for t in range(BINS)], pa.timestamp("us", "UTC")
            ),
            "requests": pa.array([float(row["requests"]) if row["requests"] else None for row in given]),
        }
    )
    pq.write_table(table, tmp_path / "demand.parquet")
    plan = tmp_path / "plan.parquet"
    assert run(tmp_path / "demand.parquet", *OPTIONS, "--against", "none", "--plan-out", plan) == 0
    written = pq.read_table(plan)
    assert written.column_names == ["timestamp", "demand", "desired"]
    assert written["desired"].to_pylist() == [int(row["desired"]) for row in rows_of(outputs / "plan.csv")]
    assert written["demand"].null_count == sum(not row["requests"] for row in given)


def test_another_column_of_work_and_several_of_them(tmp_path):
    trace, plan = tmp_path / "tokens.csv", tmp_path / "plan.csv"
    rows = "".join(f"{60 * t},{100 + t % 7},{60 * (5000 + 40 * t)}\n" for t in range(200))
    trace.write_text("timestamp,requests,prompt_tokens\n" + rows)
    result = tmp_path / "result.json"
    wanted = ["--load-latency", "120s", "--against", "none", "--plan-out", plan, "--json-out", result]
    assert run(trace, "--unit", "prompt_tokens", "--capacity", "1000", *wanted) == 0
    assert rows_of(plan)[10]["demand"] == str(60 * 5400)
    alone = [row["desired"] for row in rows_of(plan)]
    assert run(trace, "--capacity", "prompt_tokens=1000", "--capacity", "requests=100", *wanted) == 0
    assert json.loads(result.read_text())["settings"]["capacity_rps"] == {"prompt_tokens": 1000.0, "requests": 100.0}
    assert [row["desired"] for row in rows_of(plan)][20:] == alone[20:]


def test_a_trace_without_any_demand_is_no_error(tmp_path, capsys):
    trace = write_csv(tmp_path / "idle.csv", [0] * 300)
    assert run(trace, *OPTIONS, "--json") == 0
    found = json.loads(capsys.readouterr().out)["policies"]
    assert found["optimum"]["replica_hours"] == 0
    assert found["headstart"]["late_fraction"] in (0, None)
    assert run(trace, *OPTIONS, "--html-out", tmp_path / "r.html", "--png-out", tmp_path / "r.png") == 0


def test_a_trace_as_long_as_one_load_is_replayed(tmp_path, capsys):
    trace = write_csv(tmp_path / "short.csv", [600] * 6)
    assert run(trace, "--capacity", "1", "--load-latency", "3600s", "--json") == 0
    assert json.loads(capsys.readouterr().out)["policies"]["headstart"]["late_fraction"] == 1.0


GOOD = ["0,1", "60,2", "120,3", "180,4"]


def csv_of(*rows: str) -> str:
    return "\n".join(["timestamp,requests", *rows, ""])


# What each line says in full: tests/unit/traces/test_read_bad_files.py. Here: that it comes out of the command.
BAD_TRACES = {
    "unsorted": (csv_of(*GOOD, "150,5"), ["line 6", "'timestamp'", "150 is earlier", "sort"]),
    "duplicate": (csv_of(*GOOD, "180,5"), ["line 6", "'timestamp'", "180 repeats"]),
    "irregular": (csv_of(*GOOD, "250,5"), ["line 6", "'timestamp'", "250 comes 70 s after"]),
    "far gap": (csv_of(*GOOD, "1000020,5"), ["line 6", "'timestamp'", "more than 10 per row"]),
    "all missing": (csv_of("0,", "60,", "120,"), ["'requests'", "missing in all 3 rows"]),
    "negative": (csv_of(*GOOD, "240,-1"), ["line 6", "'requests'", "'-1' is negative"]),
    "infinite": (csv_of(*GOOD, "240,inf"), ["line 6", "'requests'", "infinite"]),
    "text": (csv_of(*GOOD, "240,few"), ["line 6", "'requests'", "'few' is not a number"]),
    "too short": (csv_of(*GOOD), ["covers 240 s", "less than one load of 1500 s", "--load-latency"]),
    "one row": (csv_of("0,1"), ["1 row(s)"]),
    "empty": ("", ["is empty"]),
    "header only": (csv_of(), ["0 row(s)"]),
    "empty column": ("timestamp,\n0,1\n60,2\n", ["no column 'requests'"]),
    "unknown column": ("timestamp,prompts\n0,1\n60,2\n", ["no column 'requests'", "prompts"]),
    "foreign": ("%PDF-1.7 \x00\x01\x02", ["demand.csv"]),
    "cut short": (csv_of(*GOOD, "240"), ["line 6", "has 1 cell,"]),
}


@pytest.fixture
def kept(tmp_path) -> dict[str, Path]:
    """Output options and files: the plan's and the report's exist already, the others don't."""
    files = {"--plan-out": "plan.csv", "--json-out": "result.json", "--html-out": "r.html", "--png-out": "r.png"}
    paths = {option: tmp_path / "out" / name for option, name in files.items()}
    (tmp_path / "out").mkdir()
    for option in ("--plan-out", "--html-out"):
        paths[option].write_text("of yesterday\n")
    return paths


def assert_refused(code, capsys, kept, *, exit_code=2, printed_first="") -> str:
    """One line on standard error, nothing else printed unless what begins with `printed_first`, and the output files as
    they were; returns the line.
    """
    printed = capsys.readouterr()
    assert (code, bool(printed.out)) == (exit_code, bool(printed_first))
    assert printed.out.startswith(printed_first)
    assert printed.err.startswith("headstart: ")
    assert printed.err.count("\n") == 1
    assert printed.err.endswith("\n")
    directory = kept["--plan-out"].parent
    assert sorted(path.name for path in directory.iterdir()) == ["plan.csv", "r.html"]
    assert {path.read_text() for path in directory.iterdir()} == {"of yesterday\n"}
    return printed.err.removeprefix("headstart: ")


@pytest.fixture
def no_replay(monkeypatch) -> None:
    monkeypatch.setattr("autoscaler.backtest.run.run_backtest", lambda *_, **__: pytest.fail("work was begun"))


def outs(kept):
    return [part for pair in kept.items() for part in pair]


@pytest.mark.parametrize(("content", "parts"), BAD_TRACES.values(), ids=BAD_TRACES.keys())
def test_a_trace_that_cannot_be_used_gets_one_line_and_no_output(content, parts, kept, tmp_path, capsys):
    trace = tmp_path / "demand.csv"
    trace.write_text(content)
    line = assert_refused(run(trace, *OPTIONS, *outs(kept)), capsys, kept)
    assert line.startswith((f"{trace}: ", "demand: "))
    assert [part for part in parts if part not in line] == [], line


BAD_OPTIONS = {
    "capacity 0": (["--capacity", "0"], "--capacity: '0' is not above 0"),
    "capacity negative": (["--capacity", "-1"], "--capacity: "),
    "capacity text": (["--capacity", "many"], "--capacity: 'many' is not a number"),
    "capacity twice": (["--capacity", "3", "--capacity", "requests=4"], "--capacity: requests has two capacities"),
    "budget 0": (["--late-budget", "0"], "--late-budget: '0' is out of range"),
    "budget 0 %": (["--late-budget", "0%"], "--late-budget: '0%' is out of range"),
    "budget 100 %": (["--late-budget", "100%"], "--late-budget: '100%' is out of range"),
    "budget nan": (["--late-budget", "nan"], "--late-budget: 'nan' is not a share"),
    "score from the end": (["--score-from", "100%"], "--score-from: '100%' is out of range"),
    "score from before": (["--score-from", "-1%"], "--score-from: '-1%' is out of range"),
    "load negative": (["--load-latency", "-5s"], "--load-latency: '-5s' is negative"),
    "load text": (["--load-latency", "long"], "--load-latency: 'long' is not a duration"),
    "load file absent": (["--load-latency", "empirical:absent.csv"], "--load-latency: absent.csv: can't be read"),
    "load of ages": (["--load-latency", "1e10s"], "--load-latency: '1e10s' is longer than 30 years"),
    "load spread": (["--load-latency", "lognormal:9s,99"], "'lognormal:9s,99' spreads over all times; the second"),
    "interval": (["--interval", "9d"], "--interval: 777600 s is longer than the trace, which covers "),
    "GPUs": (["--gpus-per-replica", "9" * 400], "--gpus-per-replica: must be at most 1024"),
    "wait -1": (["--max-wait", "-1s"], "--max-wait: '-1s' is negative; a duration is 0 or more"),
    "min above max": (["--min-replicas", "5", "--max-replicas", "4"], "--min-replicas 5 is above --max-replicas 4"),
    "max 0": (["--max-replicas", "0"], "--max-replicas: "),
    "seed negative": (["--seed", "-1"], "--seed: "),
    "price 0": (["--gpu-hour-price", "0"], "--gpu-hour-price: '0' is not above 0"),
    "failures 100 %": (["--start-failures", "100%"], "--start-failures: '100%' is out of range"),
    "unknown policy": (["--policy", "hpaa"], "'hpaa'"),
    "unknown rival": (["--against", "hpaa"], "'hpaa'"),
    "none and a rival": (["--against", "none", "--against", "hpa"], "--against: 'none' leaves all others out"),
    "unit beside capacities with theirs": (
        ["--capacity", "output_tokens=4", "--unit", "requests"],
        "--unit: 'requests' is what a --capacity without a unit is for, and each has one; leave it out, or add a",
    ),
    "unknown unit": (["--unit", "prompts"], "prompts"),
    "unknown option": (["--capacitty", "3"], "No such option: --capacitty"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_an_option_that_cannot_be_meant_gets_one_line_and_no_output(options, message, trace, kept, capsys):
    given = [part for pair in zip(OPTIONS[::2], OPTIONS[1::2], strict=True) if pair[0] not in options for part in pair]
    line = assert_refused(run(trace, *given, *outs(kept), *options), capsys, kept)
    assert message in line


@pytest.mark.parametrize("missing", ["--capacity", "--load-latency"])
def test_what_must_be_given_is_named(missing, trace, kept, capsys):
    given = [part for pair in zip(OPTIONS[::2], OPTIONS[1::2], strict=True) if pair[0] != missing for part in pair]
    line = assert_refused(run(trace, *given, *outs(kept)), capsys, kept)
    assert missing in line


def test_a_trace_that_is_not_there(kept, tmp_path, capsys):
    line = assert_refused(run(tmp_path / "absent.csv", *OPTIONS, *outs(kept)), capsys, kept)
    assert line.startswith(f"{tmp_path / 'absent.csv'}: no such file")


@pytest.mark.parametrize("option", ["--plan-out", "--json-out", "--html-out", "--png-out"])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    option, trace, kept, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("autoscaler.backtest.run.run_backtest", lambda *_, **__: pytest.fail("work was begun"))
    nowhere = tmp_path / "nowhere" / ("file.png" if option == "--png-out" else "file.csv")
    line = assert_refused(run(trace, *OPTIONS, *outs({**kept, option: nowhere})), capsys, kept)
    assert line.startswith(f"{nowhere}: the directory {nowhere.parent} does not exist")


def test_a_plan_in_no_format_that_is_known_is_refused_before_any_work(trace, kept, capsys, no_replay):
    plan = kept["--plan-out"].with_name("plan.xlsx")
    line = assert_refused(run(trace, *OPTIONS, *outs({**kept, "--plan-out": plan})), capsys, kept)
    assert line.startswith(f"{plan}: the suffix '.xlsx' is unknown")


@pytest.mark.parametrize(
    ("first", "other"), [("--plan-out", "--json-out"), ("--plan-out", "--html-out"), ("--html-out", "--png-out")]
)
def test_two_outputs_in_one_file_are_refused(first, other, trace, kept, capsys):
    # The name of a plan and that of a picture both have an ending of their own; a page may have any.
    kept = {**kept, "--html-out": kept["--png-out"]} if first == "--html-out" else kept
    same = kept[first].parent / "." / kept[first].name
    line = assert_refused(run(trace, *OPTIONS, *outs({**kept, other: same})), capsys, kept)
    assert line.startswith(f"{other} and {first} are the same file, ")


def test_the_trace_is_never_written_over(kept, tmp_path, capsys):
    trace = write_csv(tmp_path / "demand.csv", make_counts())
    content = trace.read_bytes()
    line = assert_refused(run(trace, *OPTIONS, *outs({**kept, "--plan-out": trace})), capsys, kept)
    assert line.startswith(f"--plan-out and the input are the same file, {trace}; ")
    assert trace.read_bytes() == content


def test_a_disk_that_is_full_leaves_no_half_file_and_the_table_is_printed(trace, kept, capsys, monkeypatch):
    def fail(path: Path, write) -> None:
        write(path.with_name(f".aside-{path.name}"))
        path.with_name(f".aside-{path.name}").unlink()
        raise HeadstartError(f"{path}: can't be written: No space left on device")

    monkeypatch.setattr("autoscaler.traces.write.write_aside", fail)
    code = run(trace, *OPTIONS, "--against", "none", *outs(kept))
    line = assert_refused(code, capsys, kept, exit_code=1, printed_first="policy ")
    assert line.startswith(f"{kept['--plan-out']}: can't be written")


def test_it_runs_as_a_program_without_a_warning(trace, tmp_path):
    program = [sys.executable, "-W", "error", "-c", "from autoscaler.cli.app import main; main()"]
    options = [
        *map(str, OPTIONS),
        "--json",
        "--html-out",
        str(tmp_path / "r.html"),
        "--png-out",
        str(tmp_path / "r.png"),
    ]
    shown = subprocess.run([*program, "backtest", str(trace), *options], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["command"].startswith("headstart backtest ")
    assert [line for line in shown.stderr.splitlines() if not line.startswith("wrote ")] == []


@pytest.mark.parametrize(
    ("known", "told"), [(300, "warning: 63 % of the scored bins are missing in demand;"), (420, "")]
)
def test_what_is_scored_and_mostly_missing_is_one_remark(known, told, tmp_path, capsys):
    counts = [count if t < known else None for t, count in enumerate(make_counts())]
    path = write_csv(tmp_path / "demand.csv", counts)
    assert run(path, *OPTIONS, "--policy", "hpa", "--against", "none") == 0
    error = capsys.readouterr().err
    assert error.startswith(told)
    assert bool(error) == bool(told)


@pytest.mark.parametrize(("capacity", "told"), [(4e7, "1e-05"), (4e3, "")])
def test_a_capacity_beside_which_demand_is_nothing_is_one_remark(capacity, told, trace, capsys):
    options = ["--load-latency", "600s", "--policy", "hpa", "--against", "none"]
    assert run(trace, "--capacity", capacity, *options) == 0
    warning = f"warning: --capacity: the trace's peak would need {told} of one replica; if that isn't so, give the "
    error = capsys.readouterr().err
    assert error.startswith(warning if told else "")
    assert error.count("\n") == bool(told)


def test_a_suspicious_column_is_one_remark_and_leaves_the_json_alone(tmp_path, capsys):
    rates = write_csv(tmp_path / "rates.csv", [count and count / BIN_S + 0.001 for count in make_counts()])
    assert run(rates, *OPTIONS, "--against", "none", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert printed.err.startswith(f"{rates}: warning: column 'requests' is mostly fractional, like a rate: ")
    assert printed.err.count("\n") == 1
