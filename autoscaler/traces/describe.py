"""What an operator wants to know about a trace before a backtest: how high, how spiky, how predictable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoscaler.errors import UsageError
from autoscaler.traces.trace import Trace
from forecasting.series import FloatArray

_DAY_S = 86400.0
# A replica takes about this long to load a large model: what demand does within it decides how much must stand ready.
RISE_WINDOW_S = 600.0
# A doubling counts where it can't be chance: by this many standard deviations of Poisson counts, from at least
# this share of the mean (a night's 1 request becoming 2 needs no replica).
_SIGMAS = 4.0
_DOUBLING_FROM = 0.25


@dataclass(frozen=True, slots=True)
class Description:
    """Figures of one unit of a trace. Rates are work per second; None where the trace is too short to tell.

    Attributes:
        name: the trace's name.
        unit: what is counted.
        bins: number of bins, missing ones included.
        bin_s: width of a bin in seconds.
        span_s: from the start of the first bin to the end of the last.
        missing_share: share of bins that are missing.
        zero_share: share of known bins without any work.
        total: work in all known bins.
        mean_per_s: mean rate.
        median_per_s: median rate.
        p99_per_s: rate that 1 % of the bins exceed.
        peak_per_s: highest rate.
        peak_to_mean: peak over mean.
        variation: standard deviation of the counts over their mean.
        dispersion: variance of the counts over their mean; 1 for independent requests at a constant rate.
        noise_dispersion: half the mean squared difference of neighbours, over the mean: the same without seasons.
        day_correlation: autocorrelation at one day.
        week_correlation: autocorrelation at one week.
        bin_ago_wape: summed absolute error of the forecast 'the same as one bin ago' over the summed demand.
        day_ago_wape: the same for one day ago.
        week_ago_wape: the same for one week ago.
        steepest_rise_per_s: largest increase of the rate within `rise_window_s`.
        rise_window_s: 600 s, or one bin where bins are longer.
        fastest_doubling_s: shortest time in which demand doubled beyond chance; None where it never did within a day.
    """

    name: str
    unit: str
    bins: int
    bin_s: float
    span_s: float
    missing_share: float
    zero_share: float
    total: float
    mean_per_s: float
    median_per_s: float
    p99_per_s: float
    peak_per_s: float
    peak_to_mean: float | None
    variation: float | None
    dispersion: float | None
    noise_dispersion: float | None
    day_correlation: float | None
    week_correlation: float | None
    bin_ago_wape: float | None
    day_ago_wape: float | None
    week_ago_wape: float | None
    steepest_rise_per_s: float | None
    rise_window_s: float
    fastest_doubling_s: float | None


def describe(trace: Trace, unit: str = "requests") -> Description:
    """Describe one unit of `trace`. Missing bins are left out of every figure.

    Raises:
        UsageError: the trace has no such unit, or no bin of it is known.
    """
    if unit not in trace.demand:
        raise UsageError(f"{trace.name}: has no unit '{unit}'; there are: {', '.join(trace.demand)}")
    counts = trace.demand[unit]
    known = counts[~np.isnan(counts)]
    if not len(known):
        raise UsageError(f"{trace.name}: '{unit}' is missing in all {len(trace)} bins; there is nothing to describe")
    mean = float(known.mean())
    rise_bins = max(1, int(RISE_WINDOW_S / trace.bin_s + 1e-9))
    day, week = _lag(trace, _DAY_S), _lag(trace, 7 * _DAY_S)
    doubling = _fastest_doubling(counts, mean, min(len(counts) - 1, max(1, int(_DAY_S / trace.bin_s))))
    return Description(
        name=trace.name,
        unit=unit,
        bins=len(trace),
        bin_s=trace.bin_s,
        span_s=trace.duration_s,
        missing_share=1 - len(known) / len(counts),
        zero_share=float(np.mean(known == 0)),
        total=float(known.sum()),
        mean_per_s=mean / trace.bin_s,
        median_per_s=float(np.median(known)) / trace.bin_s,
        p99_per_s=float(np.quantile(known, 0.99)) / trace.bin_s,
        peak_per_s=float(known.max()) / trace.bin_s,
        peak_to_mean=_ratio(float(known.max()), mean),
        variation=_ratio(float(known.std()), mean),
        dispersion=_ratio(float(known.var()), mean),
        noise_dispersion=_noise_dispersion(counts, mean),
        day_correlation=_correlation(counts, day),
        week_correlation=_correlation(counts, week),
        bin_ago_wape=_wape(counts, 1),
        day_ago_wape=_wape(counts, day),
        week_ago_wape=_wape(counts, week),
        steepest_rise_per_s=_steepest_rise(counts, rise_bins, trace.bin_s),
        rise_window_s=rise_bins * trace.bin_s,
        fastest_doubling_s=None if doubling is None else doubling * trace.bin_s,
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _lag(trace: Trace, seconds: float) -> int | None:
    """How many bins make `seconds`; None where that is not a whole number."""
    bins = seconds / trace.bin_s
    return round(bins) if abs(bins - round(bins)) < 1e-6 and bins >= 1 else None


def _pairs(counts: FloatArray, lag: int | None) -> tuple[FloatArray, FloatArray] | None:
    """Known counts `lag` bins ago and now; None below two pairs, or where they cover less than one such lag."""
    if lag is None or len(counts) < 2 * lag:
        return None
    before, now = counts[:-lag], counts[lag:]
    known = ~(np.isnan(before) | np.isnan(now))
    return (before[known], now[known]) if known.sum() >= 2 else None


def _wape(counts: FloatArray, lag: int | None) -> float | None:
    pairs = _pairs(counts, lag)
    if pairs is None:
        return None
    before, now = pairs
    return _ratio(float(np.abs(now - before).sum()), float(now.sum()))


def _correlation(counts: FloatArray, lag: int | None) -> float | None:
    """Pearson correlation of the counts with those `lag` bins before."""
    pairs = _pairs(counts, lag)
    if pairs is None or any(side.max() == side.min() for side in pairs):
        return None
    return float(np.corrcoef(*pairs)[0, 1])


def _noise_dispersion(counts: FloatArray, mean: float) -> float | None:
    pairs = _pairs(counts, 1)
    if pairs is None:
        return None
    before, now = pairs
    return _ratio(float(np.mean((now - before) ** 2)) / 2, mean)


def _lowest_before(counts: FloatArray, bins: int, floor: float) -> FloatArray:
    """The lowest known count of at least `floor` among the `bins` bins before each, shape (n,); infinite where none."""
    from scipy.ndimage import minimum_filter1d

    usable = np.where(counts >= floor, counts, np.inf)
    # The filter's window of `bins` ends at each bin; shifted by one, it ends at the bin before.
    lowest: FloatArray = minimum_filter1d(usable, bins, origin=(bins - 1) // 2, mode="constant", cval=np.inf)
    return np.concatenate([[np.inf], lowest[:-1]])


def _steepest_rise(counts: FloatArray, bins: int, bin_s: float) -> float | None:
    rise = counts - _lowest_before(counts, bins, 0.0)
    rise = rise[np.isfinite(rise)]
    return max(0.0, float(rise.max())) / bin_s if len(rise) else None


def _fastest_doubling(counts: FloatArray, mean: float, bins_max: int) -> int | None:
    """The fewest bins within which demand doubled beyond chance; what happens within k bins happens within k + 1."""

    def doubled_within(bins: int) -> bool:
        before = _lowest_before(counts, bins, _DOUBLING_FROM * mean)
        with np.errstate(invalid="ignore"):
            risen = counts - before > _SIGMAS * np.sqrt(counts + before)
            return bool(np.any(risen & (counts >= 2 * before)))

    if mean == 0 or bins_max < 1 or not doubled_within(bins_max):
        return None
    low, high = 1, bins_max
    while low < high:
        middle = (low + high) // 2
        if doubled_within(middle):
            high = middle
        else:
            low = middle + 1
    return low
