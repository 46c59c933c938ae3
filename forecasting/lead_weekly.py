"""What rose abruptly at this time one week ago and two may rise again: a report on Tuesdays at two, a weekly batch.

To the regressions a week's difference is one feature of 33, and where most of those are noise it weighs next to
nothing: after four Tuesdays alike their 99.99 % quantile was a third of what the fifth brought.
"""

from __future__ import annotations

import math

from forecasting.clock import Days
from forecasting.clock_kernels import bins_back
from forecasting.kernel import kernel
from forecasting.lead_features import demand_at
from forecasting.lead_windows import max_between, mean_before
from forecasting.series import Float32Array, FloatArray

# In logs: more than twice what came before it, within a lead.
_ABRUPT = math.log(2.0)
# Replicas are bought from here on; what happened twice is no more than likely.
_LEVEL_MIN = 0.9
_WEEKS = (7, 14)


@kernel()
def weekly_rise(log_demand: Float32Array, lead: int, days: Days, target: int) -> float:
    """The smaller one of the rises at this time in the last two weeks; 0 where one was not abrupt, or isn't known.

    Args:
        log_demand: log of demand plus floor of the bins seen, gaps imputed, shape (n,), n >= 1.
        lead: bins between the next bin and the target.
        days: of the bins of `log_demand`.
        target: 0 for the rise to the target bin, 1 for that to the peak until then.
    """
    known = len(log_demand)
    least = math.inf
    for week in _WEEKS:
        origin = known - bins_back(days, known + lead, week)
        # A job that began a bin late last week is none the less this one.
        stop = origin + lead + 2
        if origin < 1 or stop > known:
            return 0.0
        before = max_between(log_demand, max(0, origin - max(2, lead)), origin)
        least = min(least, max_between(log_demand, origin if target else origin + lead, stop) - before)
    return least if least > _ABRUPT else 0.0


@kernel()
def raise_for_week(
    log_demand: Float32Array, lead: int, days: Days, floor: float, levels: FloatArray, quantiles: FloatArray
) -> bool:
    """Raise quantiles at increasing `levels` (q,), shape (TARGETS, q), work per second, to the level and that rise.

    Returns:
        Whether there was one. See `weekly_rise` for the other arguments; `floor` is added to demand before the log.
    """
    rose = False
    for target in range(len(quantiles)):
        rise = weekly_rise(log_demand, lead, days, target)
        if rise > 0.0:
            rose = True
            level = mean_before(log_demand, len(log_demand), max(1, lead // 4))
            for i in range(len(levels)):
                if levels[i] >= _LEVEL_MIN:
                    quantiles[target, i] = max(quantiles[target, i], demand_at(level + rise, floor))
    return rose
