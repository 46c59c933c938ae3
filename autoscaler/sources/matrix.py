"""From the JSON of a range query's series to values on the query's grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from autoscaler.sources.chunks import Grid
from autoscaler.sources.ranges import Failure, SourceError
from forecasting.series import FloatArray


def labels_of(series: Any) -> dict[str, str]:
    """The labels of one series. SourceError where it isn't one."""
    labels = series.get("metric") if isinstance(series, dict) else None
    if not isinstance(labels, dict):
        raise SourceError(Failure.BAD_ANSWER, "a series without labels; is this address a Prometheus API?")
    if not all(isinstance(value, str) for value in labels.values()):
        raise SourceError(Failure.BAD_ANSWER, "a label that is no text; is this address a Prometheus API?")
    return labels


def values_on(grid: Grid, series: Any) -> FloatArray:
    """The values of one series, shape (grid.points,); NaN where it has none, or none that is finite.

    A time outside the grid or between two of its points is ignored, and so is a second value for the same time.

    Raises:
        SourceError: it holds native histograms, or what is no pair of a time and a number.
    """
    values = np.full(grid.points, np.nan)
    if "values" not in series:
        if "histograms" in series:
            raise SourceError(
                Failure.BAD_QUERY, "the query returns native histograms; take histogram_count(rate(...)) of them"
            )
        raise SourceError(Failure.BAD_ANSWER, "a series without values; is this address a Prometheus API?")
    try:
        pairs = series["values"]
        times_ms = np.rint(np.array([pair[0] for pair in pairs], dtype=np.float64) * 1000)
        # Text to numbers: 'NaN', '+Inf' and '1e-05' are what Prometheus writes, and what numpy reads.
        numbers = np.array([pair[1] for pair in pairs], dtype=np.float64)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as error:
        raise SourceError(Failure.BAD_ANSWER, f"a value that is no number: {error}") from error
    if numbers.ndim != 1 or times_ms.ndim != 1:
        raise SourceError(Failure.BAD_ANSWER, "a value that is no number")
    offsets_ms = times_ms - grid.start_ms
    usable = np.isfinite(offsets_ms) & (offsets_ms >= 0) & (offsets_ms <= (grid.points - 1) * grid.step_ms)
    usable &= np.where(usable, offsets_ms, 1) % grid.step_ms == 0
    index = (offsets_ms[usable] // grid.step_ms).astype(np.int64)
    # The first of two for the same time counts: later assignments win, hence from the back.
    values[index[::-1]] = numbers[usable][::-1]
    values[~np.isfinite(values)] = np.nan
    return values
