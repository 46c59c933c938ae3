"""'Same time yesterday' and 'same time last week', as one more trigger beside the present demand.

Grafana Mimir scales its queriers so (grafana/mimir#7775): the demand of the same time last week, shifted by one
start-up, and the HPA takes the larger need. Here the past is read at the bin in which a replica that is ordered now
begins to serve. Before a whole period of history exists the trigger shows 0, and the present demand decides alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoscaler.backtest.baselines.hpa import METRIC_WINDOW_S, HpaOptions, follow_metrics, hpa_metric
from autoscaler.backtest.baselines.metric import window_bins
from autoscaler.backtest.cluster import whole_bins
from autoscaler.backtest.setting import IntArray, Setting
from forecasting.series import FloatArray

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class SameTimeOptions:
    """Settings of the policy.

    Attributes:
        period_s: how far back the same time lies: DAY_S or WEEK_S.
        hpa: the HPA that takes the larger of the two needs.
    """

    period_s: float
    hpa: HpaOptions


def plan_same_time(setting: Setting, options: SameTimeOptions) -> IntArray:
    """Replicas at the start of each bin, shape (n,)."""
    metric = hpa_metric(setting)
    return follow_metrics(setting, np.column_stack([metric, _shifted(setting, metric, options.period_s)]), options.hpa)


def _shifted(setting: Setting, metric: FloatArray, period_s: float) -> FloatArray:
    """Demand one period before the window that begins when a replica ordered now will serve, shape (n + 1,).

    0 before the first period, NaN where the past is missing. Where loads differ, the median counts.
    """
    load_bins = whole_bins(setting.load_latency.quantile_s(0.5), setting.bin_s)
    width = window_bins(METRIC_WINDOW_S, setting.bin_s)
    back = round(period_s / setting.bin_s) - load_bins - width
    shifted = np.zeros(len(metric))
    if 0 <= back < len(metric) - width:
        shifted[back + width :] = metric[width : len(metric) - back]
    return shifted
