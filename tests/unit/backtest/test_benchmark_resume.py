"""A benchmark goes on where it was stopped, and runs again what it can't read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_results import make_finished, make_results

from autoscaler.backtest.benchmark import parts
from autoscaler.backtest.benchmark.cases import Plan, Question, plan_cases
from autoscaler.backtest.benchmark.find import trace_paths
from autoscaler.backtest.benchmark.resume import kept_rows, run_rest
from autoscaler.backtest.benchmark.run_job import Finished, late_after_day
from autoscaler.backtest.benchmark.variants import VARIANTS
from autoscaler.backtest.cluster import simulate
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace


def make_plan(names=("one", "two")) -> Plan:
    bins = np.arange(96)
    traces = [
        Trace(name, 0.0, 1800.0, {"requests": 40.0 + (5 + at) * np.sin(bins / 7.6)}, dated=False)
        for at, name in enumerate(names)
    ]
    question = Question(
        loads=[LoadLatency.constant(3600.0)],
        late_budgets=[0.05, 0.01],
        seeds=[0],
        max_wait_s=10.0,
        mean_replicas=6.0,
        score_from=0.5,
        variants=(VARIANTS[0], VARIANTS[2]),
    )
    return plan_cases(traces, question)


def run(plan, out, reported, *, stop_after=None):
    def report(done: int, _total: int) -> None:
        reported.append(done)
        if stop_after is not None and done >= stop_after:
            raise KeyboardInterrupt

    parts.make_folder(out)
    return run_rest(plan, kept_rows(plan, out), out, workers=1, backend="loky", report=report)


def test_a_part_with_any_byte_damaged_is_run_again_or_read_as_it_was(tmp_path):
    parts.make_folder(tmp_path)
    finished = make_results()[0]
    parts.write_part(tmp_path, finished)
    path = parts.part_path(tmp_path, finished.case)
    whole = path.read_bytes()
    # Text that was no UTF-8 any more ended the benchmark, and other figures were believed.
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert parts.read_part(tmp_path, finished.case) in (None, finished.rows), at


def test_an_interrupted_benchmark_goes_on_with_the_cases_that_it_has_not_finished(tmp_path):
    plan, reported = make_plan(), []
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path, reported, stop_after=2)
    assert reported == [0, 2]
    assert len(kept_rows(plan, tmp_path)) == 2
    again: list[int] = []
    results = run(plan, tmp_path, again)
    assert again == [2, 4]
    assert [finished.case for finished in results] == plan.cases
    once_more: list[int] = []
    assert run(plan, tmp_path, once_more) == results
    assert once_more == [4]


def test_a_case_has_every_policy_and_shares_what_does_not_depend_on_its_budget(tmp_path):
    loose, tight = run(make_plan(["one"]), tmp_path, [])
    rows = {row.policy: row for row in loose.rows}
    assert list(rows) == [
        *("headstart", "headstart-fixed-risk", "hpa", "keda", "knative"),
        *("reactive-best", "reactive-within-budget", "static-best", "optimum"),
    ]
    assert rows["headstart-fixed-risk"] == tight.rows[1]
    assert rows["optimum"].replica_hours <= rows["headstart"].replica_hours
    assert sum(rows["headstart"].weights.values()) == pytest.approx(1.0)
    assert rows["static-best"].late_fraction <= rows["headstart"].late_fraction


def test_a_part_gives_back_its_rows(tmp_path):
    parts.make_folder(tmp_path)
    for finished in make_results():
        parts.write_part(tmp_path, finished)
        assert parts.read_part(tmp_path, finished.case) == finished.rows


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 half a file"])
def test_half_a_part_counts_as_none(tmp_path, content):
    finished = make_results()[0]
    parts.make_folder(tmp_path)
    parts.write_part(tmp_path, finished)
    path = parts.part_path(tmp_path, finished.case)
    path.write_bytes(content)
    assert parts.read_part(tmp_path, finished.case) is None
    whole = tmp_path / "whole.parquet"
    parts.write_results(whole, [finished])
    path.write_bytes(whole.read_bytes())
    assert parts.read_part(tmp_path, finished.case) is None, "a table with other columns is no part"


def test_a_part_that_could_not_be_written_leaves_nothing_under_its_name(tmp_path):
    finished = make_finished("steps", ("30s",), 0.01, 0.5)
    broken = replace(finished.rows[0], replica_hours="many")
    parts.make_folder(tmp_path)
    with pytest.raises(Exception, match="many"):
        parts.write_part(tmp_path, Finished(finished.case, (broken,)))
    assert list((tmp_path / "cases").iterdir()) == []


def test_the_table_of_all_rows_tells_each_rows_case(tmp_path):
    results = make_results()
    parts.write_results(tmp_path / "results.parquet", results)
    table = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert len(table) == sum(len(finished.rows) for finished in results)
    assert table[0]["trace"] == "diurnal"
    assert table[0]["loads"] == ["30s", "120s"]
    assert table[0]["late_budget"] == 0.05
    assert table[0]["cost_over_rival"] == pytest.approx(table[0]["replica_hours"] / 200.0)


def test_the_first_scored_day_can_be_left_out_where_more_is_scored(replica_setting):
    demand = np.ones(200)
    demand[20:30] = 3.0  # late on the first scored day, and worked off before it ends
    two = np.full(200, 2, dtype=np.int64)
    setting = replica_setting(demand, bin_s=1800.0, score_from_bin=10)
    outcome = simulate(setting, two)
    assert outcome.late_fraction > 0.0
    assert late_after_day(setting, outcome) == 0.0
    short = replica_setting(demand, bin_s=1800.0, score_from_bin=160)
    assert late_after_day(short, simulate(short, two)) is None


def test_folders_give_their_traces_and_files_themselves(tmp_path):
    for name in ("b.csv", "a.parquet", "c.csv.gz", "README.md", "inner/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = trace_paths([tmp_path / "b.csv", tmp_path])
    assert [path.name for path in found] == ["b.csv", "a.parquet", "c.csv.gz"]
    with pytest.raises(UsageError, match="no such file or folder"):
        trace_paths([tmp_path / "absent"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no trace"):
        trace_paths([tmp_path / "empty"])
