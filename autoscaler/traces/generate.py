"""Synthetic demand from a recipe and a seed.

Numbers are drawn from numpy's RandomState, whose streams are frozen across versions, unlike Generator's: the bundled
traces must come out the same, byte for byte, with a numpy of next year.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autoscaler.errors import UsageError
from autoscaler.traces.columns import NUMBER_MAX
from autoscaler.traces.recipe import Bursts, Day, Recipe, Shift, Tokens
from autoscaler.traces.trace import Trace
from forecasting.clock import clock_of
from forecasting.series import FloatArray

_DAY_S = 86400.0
# A burst's tail is followed for this many time constants: what is left then is below 0.1 % of its top.
_DECAYS = 7.0


def generate(recipe: Recipe, seed: int | None = None) -> Trace:
    """The trace that `recipe` describes, with its own seed or with `seed`; the same both give the same trace.

    Returns:
        A trace with the unit requests, and with prompt_tokens and output_tokens where the recipe has tokens.

    Raises:
        UsageError: the trace couldn't be read: a count would be above NUMBER_MAX, or outages leave no bin.
    """
    random = np.random.RandomState(recipe.seed if seed is None else seed)
    # Each part draws from a stream of its own: leaving out the bursts leaves the noise as it was.
    drift, bursts, counts, tokens = (np.random.RandomState(s) for s in random.randint(0, 2**32, 4, np.uint64))
    rate_rps = _seasonal_rps(recipe) * _wander(recipe, drift)
    rate_rps += recipe.base_rps * _bursts(recipe.bursts, recipe.bins, recipe.bin_s, bursts)
    requests = _counts(rate_rps * recipe.bin_s, recipe.noise.overdispersion, counts)
    demand = {"requests": requests}
    if recipe.tokens is not None:
        demand |= _tokens(recipe.tokens, requests, tokens)
    lost = _lost(recipe)
    if lost.all():
        raise UsageError(f"{recipe.name}: 'outages' leave no bin that is known; shorten them")
    for unit, values in demand.items():
        if not values.max() <= NUMBER_MAX:
            raise UsageError(f"{recipe.name}: a bin would have {values.max():.3g} {unit}; allowed are {NUMBER_MAX:g}")
        values[lost] = np.nan
    return Trace(recipe.name, recipe.start.timestamp(), float(recipe.bin_s), demand, dated=True)


def _seasonal_rps(recipe: Recipe) -> FloatArray:
    """Requests per second in the middle of each bin, before drift and bursts."""
    elapsed_s: FloatArray = recipe.bin_s * (np.arange(recipe.bins, dtype=np.float64) + 0.5)
    utc_s = recipe.start.timestamp() + elapsed_s
    clock = clock_of(recipe.time_zone)
    clock_s = utc_s + clock.ahead_s[np.searchsorted(clock.changes_s, utc_s, side="right")]
    # 1 January 1970 was a Thursday, three days after a Monday.
    weekday = (np.floor(clock_s / _DAY_S).astype(np.int64) + 3) % 7
    week = np.array(recipe.week) / np.mean(recipe.week)
    rate_rps: FloatArray = recipe.base_rps * week[weekday] * _day_factor(recipe.day, clock_s % _DAY_S / 3600)
    for shift in recipe.shifts:
        rate_rps *= _shift_factor(shift, elapsed_s)
    return rate_rps


def _day_factor(day: Day, hour: FloatArray) -> FloatArray:
    """Demand at each `hour` against the day's mean, shape (n,)."""
    if not day.peaks:
        return np.ones_like(hour)
    # The mean is taken on a grid of minutes, so that it does not depend on the bins.
    minutes_h = np.arange(1440) / 60 + 1 / 120
    both = _humps(day, np.concatenate([minutes_h, hour]))
    scaled = day.low + (1 - day.low) * both / both[:1440].max()
    factor: FloatArray = scaled[1440:] / scaled[:1440].mean()
    return factor


def _humps(day: Day, hour: FloatArray) -> FloatArray:
    total = np.zeros_like(hour)
    for peak in day.peaks:
        distance_h = np.abs((hour - peak.hour + 12) % 24 - 12)
        total += peak.height * np.exp(-((distance_h / peak.width_h) ** (2 * peak.flatness)))
    return total


def _shift_factor(shift: Shift, elapsed_s: FloatArray) -> FloatArray:
    # A ramp of 0 h is one of a millisecond: a step, without a division by zero.
    progress = (elapsed_s - shift.day * _DAY_S) / max(shift.ramp_h * 3600, 1e-3)
    factor: FloatArray = 1 + (shift.factor - 1) * np.clip(progress, 0, 1)
    return factor


def _wander(recipe: Recipe, random: np.random.RandomState) -> FloatArray:
    """A slow drift around 1: the exponential of a first-order autoregression, started in its steady state."""
    noise = recipe.noise
    if noise.wander == 0:
        return np.ones(recipe.bins)
    kept = float(np.exp(-recipe.bin_s / (noise.wander_h * 3600)))
    steps = (random.standard_normal(recipe.bins) * noise.wander * np.sqrt(1 - kept**2)).tolist()
    level = float(random.standard_normal()) * noise.wander
    path = np.empty(recipe.bins)
    for i, step in enumerate(steps):
        level = kept * level + step
        path[i] = level
    # Less half the variance, so that the mean stays 1.
    drift: FloatArray = np.exp(path - noise.wander**2 / 2)
    return drift


def _bursts(bursts: Bursts, bins: int, bin_s: float, random: np.random.RandomState) -> FloatArray:
    """The sum of all bursts in multiples of the base rate, shape (bins,)."""
    total = np.zeros(bins)
    count = random.poisson(bursts.per_day * bins * bin_s / _DAY_S)
    starts_s, sizes = random.random_sample(count) * bins * bin_s, random.standard_exponential(count) * bursts.size
    for start_s, size in zip(starts_s.tolist(), sizes.tolist(), strict=True):
        first = int(start_s / bin_s)
        length_s = bursts.rise_s + bursts.hold_s + _DECAYS * bursts.decay_s
        last = min(bins, first + int(np.ceil(length_s / bin_s)) + 1)
        since_s = (np.arange(first, last) + 0.5) * bin_s - start_s
        rise = np.clip(since_s / max(bursts.rise_s, 1e-3), 0, 1)
        decay = np.exp(-np.maximum(since_s - bursts.rise_s - bursts.hold_s, 0) / bursts.decay_s)
        total[first:last] += size * rise * decay
    return total


def _counts(mean: FloatArray, overdispersion: float, random: np.random.RandomState) -> FloatArray:
    """Counts with these means: Poisson, of a gamma-distributed rate where there is overdispersion."""
    # Exponentials differ in their last digit between processors; a millionth of a request is no difference.
    mean = np.round(mean, 6)
    if overdispersion > 0:
        mean = np.round(mean * random.gamma(1 / overdispersion, overdispersion, len(mean)), 6)
    # Beyond, numpy draws nothing; it is refused.
    return mean if mean.max() > NUMBER_MAX else random.poisson(mean).astype(np.float64)


def _tokens(tokens: Tokens, requests: FloatArray, random: np.random.RandomState) -> dict[str, FloatArray]:
    """Sums per bin of independent gamma-distributed tokens: gamma again, with the shapes added."""
    shape: npt.NDArray[np.float64] = requests / tokens.variation**2
    means = {"prompt_tokens": tokens.prompt_mean, "output_tokens": tokens.output_mean}
    return {unit: np.rint(random.gamma(shape, mean * tokens.variation**2)) for unit, mean in means.items()}


def _lost(recipe: Recipe) -> npt.NDArray[np.bool_]:
    """Which bins an outage touches."""
    start_s = recipe.bin_s * np.arange(recipe.bins)
    lost = np.zeros(recipe.bins, dtype=np.bool_)
    for outage in recipe.outages:
        first_s = outage.day * _DAY_S
        lost |= (start_s + recipe.bin_s > first_s) & (start_s < first_s + outage.hours * 3600)
    return lost
