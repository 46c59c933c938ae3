"""A backtest as pandas tables, for notebooks. pandas is imported when a table is made, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.result import BacktestResult
from autoscaler.report.curves import is_dated
from autoscaler.report.reasons import coded, headstart_reasons
from autoscaler.report.summary import PolicySummary, in_display_order, summarise

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


def policy_frame(result: BacktestResult) -> pd.DataFrame:
    """One row per policy in display order, over the scored bins.

    The index holds the names. Columns: `title`, `hindsight`, `gpu_hours`, `cost` in dollars (where a price was given),
    `over_optimum` (GPU-hours over the optimum's, missing without one), `late_fraction`, `late_bins`, `starts_per_day`,
    `within_budget`, `mean_utilisation`; per request also `wait_p50_s`, `wait_p99_s`, `first_token_p50_s`,
    `first_token_p99_s` and `unserved`.
    """
    import pandas as pd

    rows = summarise(result).policies
    return pd.DataFrame([_row(row) for row in rows], index=pd.Index([row.name for row in rows], name="policy"))


def bins_frame(result: BacktestResult) -> pd.DataFrame:
    """One row per bin of the whole trace; `result.setting.score_from_bin` says where the scored part begins.

    The index is the start of each bin: UTC times, or the time since the start where the trace isn't dated. The columns
    have two levels, so that `frame["ready"]` is a table with one column per policy:
    `demand` (replicas' worth of work that arrives; missing bins are filled linearly), `forecast` with `median`, `low`
    and `high` (replicas, made one load earlier) and `reason` (a category: the codes behind Headstart's decision at the
    start of the bin, joined by spaces; `reasons.MEANINGS` explains them), both only with Headstart, and per policy
    `desired`, `ready`, `paid` (replicas) and `late_rs` (late work in replica-seconds).
    """
    import pandas as pd

    setting, band = result.setting, result.forecast
    columns: dict[tuple[str, str], npt.NDArray[np.generic] | pd.Categorical] = {
        ("demand", ""): setting.arrivals_rs / setting.bin_s
    }
    if band is not None:
        columns |= {("forecast", "median"): band.median, ("forecast", "low"): band.low, ("forecast", "high"): band.high}
    if reasons := headstart_reasons(result):
        texts, codes = coded(reasons)
        columns["reason", ""] = pd.Categorical.from_codes(codes, texts)
    rows = in_display_order(result.policies)
    columns |= {("desired", row.name): row.outcome.desired for row in rows}
    bins = {row.name: bins_of(setting, row.outcome) for row in rows}
    for quantity in ("ready", "paid", "late_rs"):
        columns |= {(quantity, name): getattr(found, quantity) for name, found in bins.items()}
    frame = pd.DataFrame(columns)
    frame.index = _times(result)
    return frame


def _times(result: BacktestResult) -> pd.Index:
    import numpy as np
    import pandas as pd

    setting = result.setting
    since_s = setting.bin_s * np.arange(len(setting))
    if is_dated(setting.start_s):
        return pd.to_datetime(setting.start_s + since_s, unit="s", utc=True).rename("time")
    return pd.to_timedelta(since_s, unit="s").rename("time")


def _row(row: PolicySummary) -> dict[str, object]:
    found: dict[str, object] = {
        "title": row.title,
        "hindsight": row.hindsight,
        "gpu_hours": row.gpu_hours,
        **({} if row.money is None else {"cost": row.money}),
        "over_optimum": float("nan") if row.cost_over_optimum is None else row.cost_over_optimum,
        "late_fraction": row.late_fraction,
        "late_bins": row.late_bins,
        "starts_per_day": row.starts_per_day,
        "within_budget": row.within_budget,
        "mean_utilisation": row.mean_utilisation,
    }
    if row.requests is None:
        return found
    wait, first_token = row.requests.wait, row.requests.first_token
    return found | {
        "wait_p50_s": wait.p50_s,
        "wait_p99_s": wait.p99_s,
        "first_token_p50_s": first_token.p50_s,
        "first_token_p99_s": first_token.p99_s,
        "unserved": row.requests.unserved,
    }
