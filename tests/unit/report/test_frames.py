import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_results import MONDAY_S, make_result, without

from autoscaler.backtest.cluster import bins_of
from autoscaler.report.frames import bins_frame, policy_frame
from autoscaler.report.table import to_json


@pytest.fixture(scope="module")
def result():
    return make_result()


def test_the_policies_are_those_of_the_table_in_its_order(result):
    frame = policy_frame(result)
    policies = to_json(result)["policies"]
    assert frame.index.tolist() == list(policies)
    for column, key in {"gpu_hours": "gpu_hours", "cost": "cost", "over_optimum": "cost_over_optimum"}.items():
        assert frame[column].tolist() == [row[key] for row in policies.values()]
    assert frame.index[0] == "headstart"
    assert frame.loc["optimum", "over_optimum"] == 1.0


def test_without_a_price_there_is_no_cost_and_without_an_optimum_nothing_to_be_over(result):
    frame = policy_frame(replace(without(result, "optimum"), gpu_hour_price=None))
    assert "cost" not in frame
    assert frame["over_optimum"].isna().all()


def test_the_bins_cover_the_whole_trace_under_utc_times(result):
    frame = bins_frame(result)
    assert len(frame) == len(result.setting) == 2016
    assert frame.index[0] == pd.Timestamp(MONDAY_S, unit="s", tz="UTC")
    assert frame.index[1] - frame.index[0] == pd.Timedelta(minutes=5)
    np.testing.assert_allclose(frame["demand"], result.setting.arrivals_rs / 300.0)
    assert frame["ready"].columns.tolist() == policy_frame(result).index.tolist()
    own = result.policies[0]
    np.testing.assert_array_equal(frame["paid"]["headstart"], bins_of(result.setting, own.outcome).paid)
    scored = frame.iloc[result.setting.score_from_bin :]
    late = scored["late_rs"]["headstart"].sum() / (scored["demand"].sum() * 300.0)
    assert late == pytest.approx(own.outcome.late_fraction)
    np.testing.assert_array_equal(frame["forecast"]["high"], result.forecast.high)


def test_a_trace_on_its_own_clock_is_indexed_by_the_time_since_its_start(result):
    undated = replace(result, setting=replace(result.setting, start_s=60.0))
    assert bins_frame(undated).index[2] == pd.Timedelta(minutes=10)


def test_without_headstart_there_is_no_forecast(result):
    frame = bins_frame(without(result, "headstart"))
    assert not {"forecast", "reason"} & set(frame.columns.get_level_values(0))


def test_each_bin_has_headstarts_reasons_in_a_column_of_two_bytes_per_bin(result):
    reason = bins_frame(result)["reason"]
    assert tuple(reason) == result.policies[0].reasons
    assert reason.cat.codes.dtype.itemsize <= 2


def test_pandas_is_loaded_only_when_a_table_is_made():
    program = "import sys, autoscaler.report.frames; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
