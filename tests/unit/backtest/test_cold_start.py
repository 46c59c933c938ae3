"""A cold start is late at most as often as the HPA at its default.

Without a history Headstart plans at 99 % of a spread that it takes from the last few bins, then at 95 % and above until
it has seen a day, and all that day has at least what an HPA at 80 % would have.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoscaler.backtest.baselines.families import FAMILIES
from autoscaler.backtest.cluster import bins_of, simulate
from autoscaler.backtest.from_trace import Scenario, setting_of
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.core.load_latency import LoadLatency
from autoscaler.traces.read import read_trace
from forecasting.series import linear_fill

DATA = Path(__file__).resolve().parents[3] / "data"
BUNDLED = ("agents", "chat", "code")
SHARED = (
    "azure_llm_2023_code_1s",
    "azure_llm_2023_conv_1s",
    "azure_vm_2017_arrivals_5min",
    "mooncake_conversation_1s",
    "nab_elb_request_count_5min",
    "nab_nyc_taxi_30min",
    "nab_tweets_AMZN_5min",
    "nab_tweets_FB_5min",
    "nab_tweets_IBM_5min",
    "servegen_m_large_10min",
    "servegen_m_large_1min_semisynthetic",
    "servegen_m_mid_client_c15_10min",
    "servegen_m_mid_client_c40_10min",
    "servegen_m_mid_client_c73_10min",
)
HOURS = (1, 6, 24)


def late_at_first(path: Path, load_s: float):
    """Headstart's and the HPA's share of late work in the first hours; 20 replicas' worth on average."""
    trace = read_trace(path, ("requests",))
    capacity = float(np.mean(linear_fill(trace.demand["requests"]))) / trace.bin_s / 20.0
    load = LoadLatency.constant(load_s)
    setting = setting_of(
        trace,
        Scenario({"requests": capacity}, load_latency=load, max_wait_s=10.0, late_budget=0.01, score_from=0.0),
    )
    bins = min(len(setting), round(HOURS[-1] * 3600 / setting.bin_s))
    setting = replace(
        setting,
        demand_rps={unit: rates[:bins] for unit, rates in setting.demand_rps.items()},
        arrivals_rs=setting.arrivals_rs[:bins],
    )
    hpa = FAMILIES["hpa"]
    outcomes = replay_headstart(setting).outcome, simulate(setting, hpa.plan(setting, hpa.target))
    runs = [bins_of(setting, outcome) for outcome in outcomes]
    for hours in HOURS:
        first = slice(0, round(hours * 3600 / setting.bin_s))
        arrived_rs = setting.arrivals_rs[first].sum()
        if arrived_rs > 0:
            yield hours, *(run.late_rs[first].sum() / arrived_rs for run in runs)


@pytest.mark.parametrize("load_s", [30.0, 120.0, 600.0])
@pytest.mark.parametrize("name", BUNDLED)
def test_the_first_hours_of_bundled_traces_are_late_at_most_as_the_hpas(name, load_s):
    for hours, ours, hpas in late_at_first(DATA / f"{name}.csv", load_s):
        assert ours <= hpas, f"{name}, first {hours} h"


@pytest.mark.parametrize("load_s", [30.0, 600.0])
@pytest.mark.parametrize("name", SHARED)
def test_the_first_hours_of_real_traces_are_late_at_most_as_the_hpas(shared_traces, name, load_s):
    for hours, ours, hpas in late_at_first(shared_traces / f"{name}.csv", load_s):
        assert ours <= hpas, f"{name}, first {hours} h"
