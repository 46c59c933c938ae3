"""What rose abruptly at this time one week ago and two may rise again: a report on Tuesdays at two, a weekly batch.

To the regressions a week's difference is one feature of 33, and where most of those are noise it weighs next to
nothing: after four Tuesdays alike their 99.99 % quantile was a third of what the fifth brought.
"""

from __future__ import annotations

import math

from forecasting.clock import Days
from forecasting.clock_kernels import bins_back
from forecasting.kernel import inner
from forecasting.lead_features import KEPT_DAYS, demand_at
from forecasting.lead_windows import max_between
from forecasting.series import Float32Array, FloatArray

# In logs: more than twice as much as at any time of the day before. Of what came before within a lead single requests
# of a sparse service were as much by chance: up to 57 % more replica-hours on a trace with two requests an hour.
_ABRUPT = math.log(2.0)
# Replicas are bought from here on; what happened twice is no more than likely.
_LEVEL_MIN = 0.9
_WEEKS = (7, 14)


@inner
def above_day_before(log_demand: Float32Array, first: int, origin: int, top: float) -> float:
    """How far log demand `top` is above all bins from `first` to before `origin`; 0 where that isn't abrupt.

    Backwards, since most bins end it at once: a day of seconds took 85 us.
    """
    highest = -math.inf
    for i in range(origin - 1, first - 1, -1):
        highest = max(highest, log_demand[i])
        if top - highest <= _ABRUPT:
            return 0.0
    return top - highest


@inner
def weekly_height(log_demand: Float32Array, lead: int, days: Days, target: int) -> float:
    """Log demand that an abrupt rise at this time would come to, which came one week ago and two; -inf without.

    The smaller one of both rises above all of the day before, on top of the last day; not above what came of them.

    Args:
        log_demand: log of demand plus floor of the bins seen, gaps imputed, shape (n,), n >= 1. Of more than are
            remembered the last ones count, so that a fit says what updates say.
        lead: bins between the next bin and the target.
        days: of the bins of `log_demand`.
        target: 0 for the target bin, 1 for the peak until then.
    """
    known = len(log_demand)
    remembered = max(0, known - KEPT_DAYS * days.day)
    rise, highest = math.inf, -math.inf
    for week in _WEEKS:
        origin = known - bins_back(days, known + lead, week)
        # A job that began a bin late last week is none the less this one.
        stop = origin + lead + 2
        if origin <= remembered or stop > known:
            return -math.inf
        top = max_between(log_demand, origin if target else origin + lead, stop)
        rise = min(rise, above_day_before(log_demand, max(remembered, origin - days.day), origin, top))
        highest = max(highest, top)
        if rise <= 0.0:
            return -math.inf
    return min(max_between(log_demand, max(remembered, known - days.day), known) + rise, highest)


@inner
def raise_for_week(
    log_demand: Float32Array, lead: int, days: Days, floor: float, levels: FloatArray, quantiles: FloatArray
) -> bool:
    """Raise quantiles at increasing `levels` (q,), shape (TARGETS, q), work per second, to `weekly_height`.

    Returns:
        Whether there is one. See there for the other arguments; `floor` is added to demand before the log.
    """
    rises = False
    for target in range(len(quantiles)):
        height = weekly_height(log_demand, lead, days, target)
        if height > -math.inf:
            rises = True
            for i in range(len(levels)):
                if levels[i] >= _LEVEL_MIN:
                    quantiles[target, i] = max(quantiles[target, i], demand_at(height, floor))
    return rises
