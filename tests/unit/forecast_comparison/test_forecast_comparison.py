from __future__ import annotations

import argparse
import json
import math

import numpy as np
import pandas as pd
import pytest
from asked import answer_of, ask_rivals
from compare import report
from ours import OURS, run
from problems import LEVELS, problem_of, write_problem
from rivals import is_answered, walk
from scores import pooled, relative, score

from autoscaler.traces.trace import Trace

BIN_S = 600.0
COLUMNS = [f"q{level}" for level in LEVELS]


def trace_of(per_second, name="ramp"):
    return Trace(name, 0.0, BIN_S, {"requests": np.asarray(per_second, dtype=np.float64) * BIN_S}, dated=False)


@pytest.fixture
def ramp():
    """Bin n has n requests a second: a forecast that is off by a bin is off by 1."""
    return problem_of(trace_of(np.arange(400.0)), "requests", origins=40, rival_origins=8)


def described(problem, tmp_path):
    return json.loads(write_problem(problem, tmp_path).read_text())


def last_value(known):
    def fitted(now, steps, levels):
        return np.full((len(steps), len(levels)), now.values[-1])

    return fitted


def knows_the_ramp(known):
    def fitted(now, steps, levels):
        return np.repeat(now.values[-1] + np.array(steps)[:, None], len(levels), axis=1).astype(np.float64)

    return fitted


def test_a_rival_knows_the_bins_before_an_origin_and_no_other(ramp, tmp_path):
    problem = described(ramp, tmp_path)
    seen = []

    def looks(known):
        def fitted(now, steps, levels):
            seen.append((now.values.copy(), now.values.base, now.start_s))
            return np.zeros((len(steps), len(levels)))

        return fitted

    walk(looks, ramp.values, problem)
    assert len(seen) == len(ramp.rival_origins)
    for origin, (values, reachable, start_s) in zip(ramp.rival_origins, seen, strict=True):
        assert values[-1] == origin - 1
        assert start_s == 0.0
        assert reachable is None


def test_a_rival_gets_the_latest_bins_of_a_long_history_and_when_they_start(tmp_path):
    problem = problem_of(trace_of(np.arange(20_000.0)), "requests", origins=40, rival_origins=2)
    starts_s = []

    def looks(known):
        starts_s.append((known.start_s, known.values[0] * BIN_S, len(known.values)))
        return last_value(known)

    walk(looks, problem.values, described(problem, tmp_path))
    assert all(start_s == first_s and bins == 4_032 for start_s, first_s, bins in starts_s)


def test_what_comes_after_an_origin_changes_none_of_our_forecasts_there(ramp):
    changed = ramp.values.copy()
    first = int(ramp.origins[20])
    changed[first:] = 7.0
    other = problem_of(trace_of(changed), "requests", origins=40, rival_origins=8)
    for name in OURS:
        before, _ = run(name, ramp)
        after, _ = run(name, other)
        until = before["origin"] <= first
        pd.testing.assert_frame_equal(before[until], after[until])
        assert not before[~until].equals(after[~until])


def test_the_loss_of_who_knows_what_comes_is_0_at_every_lead(ramp, tmp_path):
    forecasts = walk(knows_the_ramp, ramp.values, described(ramp, tmp_path))
    rows = score(ramp, "prophet", forecasts, ramp.rival_origins)
    assert [row["lead_s"] for row in rows] == list(ramp.leads_s)
    assert all(row["loss"] == 0.0 and row["origins"] == 8 and row["below_0.99"] == 1.0 for row in rows)


def test_the_last_value_of_a_ramp_is_too_low_by_as_many_bins_as_lie_ahead(ramp, tmp_path):
    rows = score(ramp, "x", walk(last_value, ramp.values, described(ramp, tmp_path)), ramp.rival_origins)
    loads = {row["lead_s"]: row["loss"] * ramp.values.mean() / np.mean(LEVELS) for row in rows}
    assert loads[0.0] == pytest.approx(1.0)
    assert loads[600.0] == pytest.approx(2.0)
    assert loads[7_200.0] == pytest.approx(13.0)


def test_a_missing_outcome_is_not_scored_and_a_missing_forecast_is_an_error(ramp, tmp_path):
    forecasts = walk(last_value, ramp.values, described(ramp, tmp_path))
    ramp.values[ramp.rival_origins[0]] = math.nan
    assert score(ramp, "x", forecasts, ramp.rival_origins)[0]["origins"] == 7
    with pytest.raises(ValueError, match="ramp: x has no forecast at some origin"):
        score(ramp, "x", forecasts[forecasts["origin"] != ramp.rival_origins[1]], ramp.rival_origins)


def test_quantiles_below_zero_or_out_of_order_are_put_right(ramp, tmp_path):
    def says(known):
        return lambda now, steps, levels: np.tile([-1.0, 3.0, 2.0, 4.0], (len(steps), 1))

    assert walk(says, ramp.values, described(ramp, tmp_path))[COLUMNS].iloc[0].tolist() == [0.0, 3.0, 3.0, 4.0]


def test_an_answer_counts_for_the_same_demand_origins_and_steps_only(ramp, tmp_path):
    problem = described(ramp, tmp_path)
    path = tmp_path / "ramp-x.parquet"
    assert not is_answered(path, problem)
    walk(last_value, ramp.values, problem).to_parquet(path)
    assert is_answered(path, problem)
    assert not is_answered(path, problem | {"origins": problem["origins"][1:]})
    assert not is_answered(path, problem | {"steps": [1, 2]})
    assert not is_answered(path, problem | {"start_s": 600.0})
    changed = ramp.values.copy()
    changed[-1] += 1.0
    other = problem_of(trace_of(changed), "requests", origins=40, rival_origins=8)
    assert not is_answered(path, described(other, tmp_path))


def test_answers_to_what_a_trace_was_before_are_not_scored(ramp, tmp_path):
    options = argparse.Namespace(folder=tmp_path, rival=["prophet"], rivals_python=None)
    answer = answer_of(tmp_path, ramp, "prophet")
    walk(last_value, ramp.values, described(ramp, tmp_path)).to_parquet(answer)
    ask_rivals([ramp], options)
    assert answer.exists()
    ramp.values[-1] += 1.0
    ask_rivals([ramp], options)
    assert not answer.exists()


def test_losses_are_pooled_as_shares_of_the_last_values_so_that_no_trace_counts_more():
    rows = [("a", "last-value", 1.0), ("a", "x", 0.5), ("b", "last-value", 100.0), ("b", "x", 200.0), ("a", "y", 2.0)]
    scores = pd.DataFrame(rows, columns=["trace", "model", "loss"]).assign(lead_s=600.0)
    means = pooled(relative(scores))[600.0]
    assert means["x"] == pytest.approx(1.0)
    assert means["last-value"] == 1.0
    assert math.isnan(means["y"])  # no forecast of b: a mean over other traces would mislead


def test_the_report_names_every_model_that_answered(ramp, tmp_path):
    for name in (*OURS, "auto-ets"):
        forecasts = pd.concat(
            pd.DataFrame({"origin": ramp.origins, "step": step, **dict.fromkeys(COLUMNS, 300.0)})
            for step in set(ramp.steps)
        )
        forecasts.assign(fit_s=1.0, forecast_s=0.5).to_parquet(tmp_path / f"ramp-{name}.parquet")
    times = [{"trace": "ramp", "model": name, "fit_s": 1.0, "update_s": 1.0, "forecast_s": 1.0} for name in OURS]
    pd.DataFrame(times).to_parquet(tmp_path / "times.parquet")
    page = report([ramp], tmp_path, ["auto-ets", "mstl"])
    assert page == (tmp_path / "forecasts.md").read_text()
    assert "| auto-ets | 1.000 |" in page
    assert "mstl" not in page
