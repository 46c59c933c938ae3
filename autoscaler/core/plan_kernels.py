"""The arithmetic of one decision.

`decide` calls these for the bin that starts now; the self-backtest calls them for each of its candidates.
Needs are in replicas (fractions allowed), backlogs in replica-seconds.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecasting.kernel import kernel
from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]

# A need of exactly n replicas must not become n + 1 through rounding: a history is kept to a millionth of demand.
_ROUNDING_SHARE = 1e-6
_ROUNDING = 1e-9
# The largest count. Beyond 9.2e18 the cast to 64 bits wraps to below zero: one bin with a demand of 1e300 let a whole
# fleet go.
COUNT_MAX = 2.0**53
# A queue is worked off by at most so many times the replicas that demand itself needs. Without a limit a burst on a
# minute trace asked for 235 replicas where 60 were needed, and no less work was late for it; after ten minutes of ten
# times the demand, 38, 33 and 30 bins were late with 1, 2 and 3, for 618, 627 and 634 replica-hours.
_QUEUE_NEEDS_MAX = 2.0
# Quantiles of log demand come near to zero and never reach it; a service with 0.01 replicas' worth of steady demand
# isn't idle, and keeps its replica.
_NEGLIGIBLE = 0.05
# Risks this cautious keep the last replica in idle bins too. A service with a request every ten minutes let it go after
# each: 93 % was late where 1 % was asked, and no risk could do better. The self-backtest takes them where it must.
_LAST_STAYS_FROM = 0.9995


@kernel()
def whole(replicas: float) -> int:
    """Fewest whole replicas for a need in fractions."""
    return math.ceil(min(replicas, COUNT_MAX) * (1.0 - _ROUNDING_SHARE) - _ROUNDING)


@kernel()
def queue_ahead(
    backlog_rs: float, ready: int, due: IntArray, demand_now: float, demand_at_lead: float, bin_s: float
) -> tuple[float, int]:
    """What the queue will do until a replica ordered now begins to serve, if nothing is ordered or released.

    Demand is taken to stay as it is until the bin at the lead. A straight line to what is forecast for that filled the
    calm before a step that comes every 17 minutes with a queue, for which three times the peak's replicas were ordered,
    a quarter of all replica-hours; over 57 real cases it cost as much as this.

    Args:
        backlog_rs: work queued now, replica-seconds.
        ready: replicas that serve in the bin that starts now.
        due: replicas on order by the bin in which they begin to serve, shape (lead,): due[0] in the next bin.
        demand_now: demand of the last known bin, in replicas.
        demand_at_lead: median forecast for the bin at the lead.
        bin_s: width of a bin.

    Returns:
        Work queued then, in replica-seconds, and the most replicas, of those ready and loading, that a queue keeps
        busy for a whole bin in one of the bins until then, and in that one.
    """
    lead = len(due)
    if backlog_rs <= 0.0 and demand_now <= ready:
        # Nothing can queue before. Most bins are like this, and the loop would be half of the self-backtest's time.
        return 0.0, 0
    serving = ready
    busy = 0
    for i in range(lead + 1):
        if backlog_rs > 0.0:
            demand = demand_now if i < lead else demand_at_lead
            busy = max(busy, min(serving, whole(demand + backlog_rs / bin_s)))
        if i < lead:
            backlog_rs = max(0.0, backlog_rs + (demand_now - serving) * bin_s)
            serving += due[i]
    return backlog_rs, busy


@kernel()
def priced_level(needs: FloatArray, levels: FloatArray, late_price: float) -> int:
    """The level whose replicas and expected late work cost least together; of equals the lower, the median or above.

    Of a bin in which demand exceeds what serves, all work counts as late: once more than the longest wait is queued,
    whoever comes later finds it so. That makes the level the one at which a replica more is no longer worth the late
    work that it saves, as the newsvendor of inventory theory orders.

    Args:
        needs: quantiles of demand one lead ahead in replicas, shape (q,).
        levels: at which they are taken, increasing, shape (q,).
        late_price: replica-seconds that one of late work is worth.
    """
    best, least, late = len(levels) - 1, math.inf, 0.0
    for i in range(len(levels) - 1, 0, -1):
        cost = whole(needs[i]) + late_price * late
        if cost <= least:
            best, least = i, cost
        late += (levels[i] - levels[i - 1]) * needs[i]
    return best


@kernel()
def is_idle(demand_now: float, backlog_rs: float) -> bool:
    """Whether nothing arrived in the last bin and nothing is queued."""
    return demand_now < _ROUNDING and backlog_rs < _ROUNDING


@kernel()
def needed_for_queue(backlog_rs: float, drain_s: float, need: float) -> float:
    """Replicas that work a queue off in `drain_s`, beside `need` for demand; limited by that."""
    return min(backlog_rs / drain_s, _QUEUE_NEEDS_MAX * need)


@kernel()
def need_while_queued(need_at_lead: float, demand_now: float, backlog_now_rs: float) -> float:
    """The need one load ahead; at least what came last while a queue tells that forecasts until now were too low.

    After weeks of 0.02 replicas' worth, 4.6 came at once: until the forecast lost its vote, fewer were ordered than
    just then came, and 12 % was late instead of 6.6. Over 57 real cases it costs nothing.
    """
    return max(need_at_lead, demand_now) if backlog_now_rs > 0.0 else need_at_lead


@kernel()
def choose_replicas(
    need_at_lead: float,
    need_until_lead: float,
    risk_level: float,
    demand_now: float,
    backlog_now_rs: float,
    backlog_lead_rs: float,
    drain_s: float,
    busy: int,
    current: int,
    missing: bool,
) -> int:
    """Replicas wanted: order what is needed one load ahead, release what isn't needed until then.

    A replica released now could be back one load from now at the earliest, so a surplus one stays while the peak
    until then may want it: the break-even of renting on against loading again.

    What the last bin needed stays, however sure the forecast is that it ends now: ten minutes before closing time half
    of the replicas left with all of the work still there. Over 57 real cases that costs 0.1 % less.

    What a queue keeps busy stays. The queue is as many replica-seconds of work for few replicas as for many, and until
    it is gone whatever comes waits behind it: after ten minutes of ten times the demand, 90 bins were late where 38
    are, for 11 % more replica-hours.

    Args:
        need_at_lead: demand one load ahead, at the chosen risk, in replicas.
        need_until_lead: peak demand from now to one load ahead, at the chosen risk, in replicas.
        risk_level: the level of the quantiles that the needs are.
        demand_now: demand of the last known bin. Where nothing came and nothing is queued, a need of next to nothing is
            none, but at the most cautious risks.
        backlog_now_rs: work queued now.
        backlog_lead_rs: work expected in the queue one load ahead.
        drain_s: time in which a backlog is to be worked off.
        busy: replicas that a queue keeps busy until then, see `queue_ahead`.
        current: replicas ready and loading.
        missing: the last bin's demand is unknown: nothing is released.
    """
    if is_idle(demand_now, backlog_now_rs) and max(need_at_lead, need_until_lead) < _NEGLIGIBLE:
        need_at_lead = need_until_lead = 0.0 if risk_level < _LAST_STAYS_FROM else 1.0
    need_at_lead = need_while_queued(need_at_lead, demand_now, backlog_now_rs)
    order = whole(need_at_lead + needed_for_queue(backlog_lead_rs, drain_s, need_at_lead))
    if order >= current:
        return order
    if missing:
        return current
    peak = max(need_at_lead, need_until_lead, demand_now)
    keep = whole(peak + needed_for_queue(backlog_now_rs, drain_s, need_at_lead))
    return max(order, min(current, max(keep, busy)))


@kernel()
def release(current: int, wanted: int, ready: int, due: IntArray) -> int:
    """Take surplus replicas away, those due last first; writes due, returns the ready ones left."""
    surplus = current - wanted
    for i in range(len(due) - 1, -1, -1):
        taken = min(surplus, due[i])
        due[i] -= taken
        surplus -= taken
    return ready - surplus
