"""What quantiles are raised to whatever the members say: see lead_return and lead_weekly."""

from __future__ import annotations

from forecasting.clock import Days
from forecasting.kernel import inner, kernel
from forecasting.lead_features import IntArray
from forecasting.lead_return import fallen_for, raise_for_return
from forecasting.lead_weekly import raise_for_week
from forecasting.series import Float32Array, FloatArray


@kernel(nogil=True)
def raise_bins(
    log_demand: Float32Array,
    lead: int,
    days: Days,
    floor: float,
    levels: FloatArray,
    fall_ago: IntArray,
    quantiles: FloatArray,
) -> tuple[int, bool]:
    """Raise what was said after each of the last bins of `log_demand`.

    Args:
        log_demand: log of demand plus floor of the bins seen, gaps imputed, shape (m + n,), m + n >= 1.
        lead: bins between the next bin and the target.
        days: of the bins of `log_demand`.
        floor: added to demand before the log.
        levels: of the quantiles, increasing, shape (q,).
        fall_ago: what `fallen_for` knows of the bins before these, shape (2,); written to.
        quantiles: work per second, shape (n, TARGETS, q); written to.

    Returns:
        After the last of them: bins since demand fell abruptly, 0 where it didn't; whether it rose abruptly at this
        time one week ago and two.
    """
    before = len(log_demand) - len(quantiles)
    fallen, rises = 0, False
    for i in range(len(quantiles)):
        seen = log_demand[: before + i + 1]
        fallen = fallen_for(seen, days, fall_ago)
        rises = _raise_newest(seen, lead, days, floor, levels, fallen, quantiles[i])
    return fallen, rises


@kernel()
def raise_newest(
    log_demand: Float32Array,
    lead: int,
    days: Days,
    floor: float,
    levels: FloatArray,
    fallen: int,
    quantiles: FloatArray,
) -> bool:
    """Raise what is said after the newest bin, shape (TARGETS, q), so many bins after a fall; see `raise_bins`."""
    return _raise_newest(log_demand, lead, days, floor, levels, fallen, quantiles)


@inner
def _raise_newest(
    log_demand: Float32Array,
    lead: int,
    days: Days,
    floor: float,
    levels: FloatArray,
    fallen: int,
    quantiles: FloatArray,
) -> bool:
    raise_for_return(log_demand, lead, days, floor, fallen, levels, quantiles)
    return raise_for_week(log_demand, lead, days, floor, levels, quantiles)
