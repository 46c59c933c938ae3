"""Which seasons a history has: a period counts only when it predicts bins that it was not estimated from.

A peak in the autocorrelation is not evidence enough: a random walk has them too, and on one production service
'same as one day ago' missed by 39 % where 'same as ten minutes ago' missed by 11 %. So each candidate is put to work
on the later half of the history, against the same forecast without it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import uniform_filter1d

from forecasting.clock import DAY_S
from forecasting.kernel import kernel
from forecasting.series import FloatArray, Series
from forecasting.transform import Transform

IntArray = npt.NDArray[np.int64]

WEEK_S = 7 * DAY_S

_MIN_PERIOD_BINS = 4
# A season must cut the absolute error by _MIN_GAIN, and by _LUCK more over the cycles of the later half: by 15 % where
# one cycle is all the proof, by 5 % over six. Candidates that are looked for, not known, must do so twice over: among
# many lags one always looks good. Of 1,600 noises and random walks 1 % then have a season.
_MIN_GAIN = 0.03
_LUCK = 0.12
_SEARCHED = 2.0
# Blocks per shortest period: 30 minutes of a day, fine enough for a rush hour and coarse enough to average noise out.
_BLOCKS = 48
# Weight of 'no season' (or of the shorter season) beside the cycles that were seen.
_PRIOR_CYCLES = 0.5
_WINSOR_DEVIATIONS = 4.0
_MAX_PERIODS = 2
_MAX_TRIED_BINS = 86_400
# The autocorrelation looks at the latest bins only: 10 million of them would take seconds and tell no more.
_MAX_BINS = 1 << 17
_MIN_CYCLES = 4
_MIN_CORRELATION = 0.2


def detect_periods(series: Series) -> tuple[int, ...]:
    """Periods in bins, increasing, at most two; () where no season predicts better than the level alone.

    Day and week come first (a day needs two days of history, a week two weeks), then whatever else the
    autocorrelation of what they leave shows at least four times. A longer season must beat the shorter one.
    """
    logs = Transform.of("log", series.values).forward(series.values)
    found: tuple[int, ...] = ()
    for period_s in (DAY_S, WEEK_S):
        period = round(period_s / series.bin_s)
        if season_gain(logs, period, found) >= _needed_gain(len(logs), period):
            found = (*found, period)
    if len(found) < _MAX_PERIODS:
        other = _strongest_lag(logs[-_MAX_BINS:], found)
        if other is not None:
            shorter = tuple(period for period in found if period < other)
            if season_gain(logs, other, shorter) >= _SEARCHED * _needed_gain(len(logs), other):
                found = tuple(sorted((*found, other)))
    return found


def periods_to_try(series: Series) -> tuple[int, ...]:
    """Periods for a model that tests its seasons itself and fades those that don't come true.

    Day and week, from the first bin on, so that no refit is needed when they have been seen; another period only
    where that is the one that is detected. Bins so narrow that a period has more than 86,400 of them leave it out.
    """
    detected = detect_periods(series)
    calendar = tuple(
        period
        for period in (round(DAY_S / series.bin_s), round(WEEK_S / series.bin_s))
        if _MIN_PERIOD_BINS <= period <= _MAX_TRIED_BINS
    )
    return calendar if set(detected) <= set(calendar) else detected


def _needed_gain(bins: int, period: int) -> float:
    """The gain that counts as proof: more of it where the later half holds few cycles."""
    return _MIN_GAIN + _LUCK * 2 * period / max(bins, 1)


def season_gain(logs: FloatArray, period: int, shorter: tuple[int, ...] = ()) -> float:
    """Share of the absolute error that a season of `period` bins takes away on the later half of `logs` (n,).

    The forecast is the block some hours ago plus the season's change since; the one to beat has the `shorter` seasons
    only. Seasons are means of earlier cycles. Minus infinity where there are less than two cycles.
    """
    shortest = min((*shorter, period))
    if shortest < _MIN_PERIOD_BINS or len(logs) < 2 * period:
        return -math.inf
    width = max(1, round(shortest / _BLOCKS))
    blocks = _block_means(logs, width)
    detrended = _winsorised(blocks - _moving_mean(blocks, round(period / width)))
    without = np.zeros(len(blocks))
    for known in shorter:
        without = _season(detrended, known / width, without)
    with_it = _season(detrended, period / width, without)
    day = shortest / width
    lags = [max(1, round(day * share)) for share in (1 / 24, 1 / 8, 1 / 3)] + ([round(day)] if shorter else [])
    half = len(blocks) // 2
    gains = []
    for lag in lags:
        change = blocks[half:] - blocks[half - lag : -lag]
        known_changes = ~np.isnan(change)
        errors = [
            np.abs(change - (season[half:] - season[half - lag : -lag]))[known_changes].sum()
            for season in (with_it, without)
        ]
        gains.append(1.0 - errors[0] / errors[1] if errors[1] > 0 else 0.0)
    return float(np.mean(gains))


def _season(detrended: FloatArray, period: float, shorter: FloatArray) -> FloatArray:
    """`causal_season` for a period of so many blocks, which need not be whole."""
    slots = max(1, round(period))
    phase = (np.arange(len(detrended)) + 0.5) % period / period
    return causal_season(detrended, np.minimum((phase * slots).astype(np.int64), slots - 1), slots, shorter)


@kernel()
def causal_season(detrended: FloatArray, slot: IntArray, slots: int, shorter: FloatArray) -> FloatArray:
    """The season at each block from earlier cycles only, shape (n,), pulled to `shorter` where few were seen.

    Args:
        detrended: blocks without their level, shape (n,); NaN is missing.
        slot: phase of each block, shape (n,), each below `slots`.
        slots: phases of the season.
        shorter: what is known without this season, shape (n,).
    """
    total, cycles, season = np.empty(slots), np.empty(slots), np.empty(len(detrended))
    for s in range(slots):
        total[s] = cycles[s] = 0.0
    for b in range(len(detrended)):
        s = slot[b]
        season[b] = (total[s] + _PRIOR_CYCLES * shorter[b]) / (cycles[s] + _PRIOR_CYCLES)
        if not math.isnan(detrended[b]):
            total[s] += detrended[b]
            cycles[s] += 1.0
    return season


def _strongest_lag(logs: FloatArray, found: tuple[int, ...]) -> int | None:
    """The lag of the highest peak in the autocorrelation of what the `found` seasons leave; None without one.

    Multiples of a period correlate as well as the period itself, so a shorter lag nearly as high wins.
    """
    longest = len(logs) // _MIN_CYCLES
    if longest <= _MIN_PERIOD_BINS or np.isnan(logs).all():
        return None
    rest = _winsorised(logs - _moving_mean(logs, longest))
    for period in found:
        phase = np.arange(len(rest)) % period
        known = ~np.isnan(rest)
        total = np.bincount(phase[known], weights=rest[known], minlength=period)
        rest = rest - (total / np.maximum(np.bincount(phase[known], minlength=period), 1))[phase]
    correlation = _autocorrelation(np.nan_to_num(rest), longest)
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    peaks = peaks[(peaks >= _MIN_PERIOD_BINS) & (correlation[peaks] > _MIN_CORRELATION)]
    for period in found:
        # What is left of a season that changes over time correlates at its own period, a little beside it.
        peaks = peaks[np.abs(peaks / period - np.maximum(np.round(peaks / period), 1)) > 0.1]
    if len(peaks) == 0:
        return None
    return int(peaks[correlation[peaks] >= 0.9 * correlation[peaks].max()][0])


def _autocorrelation(values: FloatArray, lags: int) -> FloatArray:
    """Autocorrelation of `values` (n,) at lags 0..lags - 1."""
    size = next_fast_len(2 * len(values), real=True)
    power = np.abs(rfft(values - values.mean(), size)) ** 2
    covariance = irfft(power, size)[:lags]
    return covariance / covariance[0] if covariance[0] > 0 else np.zeros(lags)


def _block_means(values: FloatArray, width: int) -> FloatArray:
    """Means of the known values in blocks of `width`, the last one whole; NaN for a block without any."""
    rows = values[len(values) % width :].reshape(-1, width)
    known = ~np.isnan(rows)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(count, 1), math.nan)


def _moving_mean(values: FloatArray, window: int) -> FloatArray:
    """Centred mean of the known values in `window`, shape (n,), the ends mirrored; NaN where none is known."""
    known = ~np.isnan(values)
    total = uniform_filter1d(np.where(known, values, 0.0), window, mode="reflect")
    share = uniform_filter1d(known.astype(np.float64), window, mode="reflect")
    # The filter is a running sum: a share that should be 0 comes out as 1e-17.
    return np.where(share > 0.5 / window, total / np.maximum(share, 0.5 / window), math.nan)


def _winsorised(values: FloatArray) -> FloatArray:
    """`values` (n,) with what is too far from the median pulled in; one news spike isn't a season."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return values
    median = float(np.median(known))
    deviation = 1.4826 * float(np.median(np.abs(known - median)))
    limit = _WINSOR_DEVIATIONS * deviation if deviation > 0 else math.inf
    return np.clip(values, median - limit, median + limit)
