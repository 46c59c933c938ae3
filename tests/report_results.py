"""Backtest results made by hand: a daily wave with bursts, and plans that follow it. For the report's tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autoscaler.backtest.result import BacktestResult, Bins, ForecastBand, Frontier, Outcome, PolicyResult
from autoscaler.backtest.setting import Setting
from autoscaler.core.decision import Reason
from autoscaler.core.fluid import serve_bin
from autoscaler.core.load_latency import LoadLatency
from forecasting.series import linear_fill

MONDAY_S = 1_717_977_600.0  # 2024-06-10, a Monday, 00:00 UTC
TITLES = {
    "headstart": "Headstart",
    "hpa": "HPA, default target (70 %)",
    "hpa-best": "HPA, best target in hindsight (81 %)",
    "keda": "KEDA, default settings",
    "keda-best": "KEDA, best target in hindsight (78 %)",
    "knative": "Knative, default settings",
    "knative-best": "Knative, best target in hindsight (74 %)",
    "last-week": "Same time last week",
    "static": "Static fleet at the peak of the history",
    "optimum": "Optimum in hindsight",
}


def make_result(bins: int = 2016, *, bin_s: float = 300.0, seed: int = 7, name: str = "synthetic") -> BacktestResult:
    """All policies on a daily wave of about 20 replicas with bursts and a gap; the second half is scored."""
    setting = make_setting(bins, bin_s=bin_s, seed=seed, name=name)
    need = setting.arrivals_rs / bin_s
    load_bins = max(1, int(np.ceil(600.0 / bin_s)))
    rng = np.random.default_rng(seed)
    known = np.concatenate([np.full(load_bins, need[0]), need[:-load_bins]])
    ahead = linear_fill(np.where(rng.random(bins) < 0.3, np.nan, need))  # a forecast that misses some details
    plans = {
        "headstart": _held(np.roll(_held(1.04 * ahead + 0.8, 2 * load_bins), -load_bins), 2),
        "hpa": _held(known / 0.7, 12),
        "hpa-best": _held(known / 0.55, 12),
        "keda": _held(known / 0.75, 18),
        "keda-best": _held(known / 0.53, 18),
        "knative": _held(known / 0.7, 3),
        "knative-best": _held(known / 0.48, 3),
        "last-week": _held(np.roll(need, 7) * 1.05, 3),
        "static": np.full(bins, int(np.ceil(np.max(need)))),
        "optimum": np.ceil(need).astype(np.int64),
    }
    policies = tuple(
        PolicyResult(
            policy,
            TITLES[policy],
            policy in {"optimum"} or policy.endswith("-best"),
            outcome_of(setting, plan, 0 if policy == "optimum" else load_bins),
            {"target": 0.7},
            reasons_of(plan) if policy == "headstart" else (),
        )
        for policy, plan in plans.items()
    )
    frontiers = tuple(
        _frontier(setting, family, known, hold, load_bins)
        for family, hold in (("hpa", 12), ("keda", 18), ("knative", 3))
    )
    forecast = np.array([ahead, 0.93 * ahead - 0.3, 1.1 * ahead + 0.8], dtype=np.float32)
    band = ForecastBand(*forecast, 0.05, 0.95)
    seconds = dict.fromkeys(plans, 0.1)
    return BacktestResult(setting, policies, frontiers, band, 2.5, 1, seconds)


def make_setting(bins: int, *, bin_s: float = 300.0, seed: int = 7, name: str = "synthetic") -> Setting:
    rng = np.random.default_rng(seed)
    hour = np.arange(bins) * bin_s / 3600
    noise = np.exp(0.06 * rng.standard_normal(bins))
    need = (18 - 10 * np.cos(hour / 24 * 2 * np.pi)) * noise
    for start in rng.integers(0, bins, max(2, bins // 400)):
        need[start : start + int(3600 / bin_s)] *= 1.6
    demand = need * 3.2
    demand[bins // 3 * 2 : bins // 3 * 2 + 5] = np.nan
    return Setting(
        trace_name=name,
        start_s=MONDAY_S,
        bin_s=bin_s,
        demand_rps={"requests": demand},
        capacity_rps={"requests": 3.2},
        arrivals_rs=linear_fill(demand) / 3.2 * bin_s,
        load_latency=LoadLatency.constant(600.0),
        max_wait_s=10.0,
        late_budget=0.01,
        score_from_bin=bins // 2,
        seed=seed,
    )


def outcome_of(setting: Setting, desired: np.ndarray, load_bins: int) -> Outcome:
    """What a plan leads to, replica by replica level: enough of a cluster to look real."""
    levels = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([np.full(load_bins, desired[0]), desired]), load_bins + 1
    )
    ready = levels.min(axis=1)
    late, served, backlog = np.zeros(len(desired)), np.zeros(len(desired)), 0.0
    for t, work in enumerate(setting.arrivals_rs):
        before = backlog
        backlog, late[t] = serve_bin(before, float(work), float(ready[t]), setting.bin_s, setting.max_wait_s)
        served[t] = before + work - backlog
    scored = slice(setting.score_from_bin, None)
    hours = float(desired[scored].sum() * setting.bin_s / 3600)
    return Outcome(
        desired.astype(np.int32),
        hours,
        float(late[scored].sum() / setting.arrivals_rs[scored].sum()),
        int((late[scored] > 0).sum()),
        float(served[scored].sum() / (ready[scored].sum() * setting.bin_s)),
        Bins(ready.astype(np.int32), desired.astype(float), late, served),
    )


def reasons_of(desired: np.ndarray) -> tuple[str, ...]:
    """What explains each bin of a plan: the first has no history, and an order comes with a backlog now and then."""
    texts = [str(Reason.NO_HISTORY)]
    for t, change in enumerate(np.diff(desired), start=1):
        reason = Reason.ORDERED_AHEAD if change > 0 else Reason.RELEASED if change < 0 else Reason.STEADY
        texts.append(f"{Reason.BACKLOG} {reason}" if change > 0 and t % 3 == 0 else str(reason))
    return tuple(texts)


def with_policy(result: BacktestResult, name: str, **changes: float) -> BacktestResult:
    """The result with numbers of one policy's outcome changed."""
    return replace(
        result,
        policies=tuple(
            replace(row, outcome=replace(row.outcome, **changes)) if row.name == name else row
            for row in result.policies
        ),
    )


def without(result: BacktestResult, *names: str) -> BacktestResult:
    """The result without some policies; without Headstart there is no forecast either."""
    kept = tuple(row for row in result.policies if row.name not in names)
    return replace(result, policies=kept, forecast=None if "headstart" in names else result.forecast)


def unstep(pairs: list[float], n: int) -> np.ndarray:
    """What `curves.steps` wrote, as the page's script reads it."""
    out, at = np.zeros(n), 0
    for gap, value in zip(pairs[::2], pairs[1::2], strict=True):
        at += gap
        out[at:] = value
    return out


def unsparse(pairs: list[float], n: int) -> np.ndarray:
    """What `curves.sparse` wrote, likewise."""
    out = np.zeros(n)
    out[np.cumsum(np.array(pairs[::2], dtype=int))] = pairs[1::2]
    return out


def _held(level: np.ndarray, hold: int) -> np.ndarray:
    padded = np.concatenate([np.full(hold - 1, level[0]), level])
    return np.ceil(np.lib.stride_tricks.sliding_window_view(padded, hold).max(axis=1)).astype(np.int64)


def _frontier(setting: Setting, family: str, known: np.ndarray, hold: int, load_bins: int) -> Frontier:
    targets = np.linspace(0.95, 0.25, 12)
    outcomes = [outcome_of(setting, _held(known / target, hold), load_bins) for target in targets]
    return Frontier(
        family,
        TITLES[family].split(",", maxsplit=1)[0],
        targets,
        np.array([row.replica_hours for row in outcomes]),
        np.array([row.late_fraction for row in outcomes]),
    )
