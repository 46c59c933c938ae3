"""The rivals: models of other libraries as their manuals use them, each asked for its own prediction intervals.

Missing bins are filled linearly, since most of them take none. A season counts where the history holds it three times.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd
from rivals import Fitted, Known, Rival

_CYCLES_MIN = 3
_HARMONICS = 3
_PATHS = 300
_INTERVAL_S = 180.0  # of NVIDIA Dynamo's planner
_BUFFER = 50  # intervals that it remembers


def _filled(known: Known) -> np.ndarray:
    return pd.Series(known.values).interpolate(limit_direction="both").fillna(0.0).to_numpy()


def _seasons(known: Known) -> list[int]:
    """Bins of the seasons, a day and a week, that the history holds often enough."""
    return [season for season in (known.day, 7 * known.day) if len(known.values) >= _CYCLES_MIN * season]


def _normal(mean: np.ndarray, deviation: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    scores = np.array([NormalDist().inv_cdf(level) for level in levels])
    return np.asarray(mean)[:, None] + np.asarray(deviation)[:, None] * scores


def _rows(steps: Sequence[int]) -> np.ndarray:
    return np.array(steps) - 1


def statsmodels_ets(known: Known) -> Fitted:
    """statsmodels' ETS: additive error, damped trend and the daily season, initial states by its heuristic."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    season = next(iter(_seasons(known)), None)

    def model(now: Known) -> ETSModel:
        return ETSModel(
            pd.Series(_filled(now)),
            error="add",
            trend="add",
            damped_trend=True,
            seasonal="add" if season else None,
            seasonal_periods=season,
            initialization_method="heuristic",
        )

    parameters = model(known).fit(disp=False).params

    def fitted(now: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        end = len(now.values)
        ahead = model(now).smooth(parameters).get_prediction(start=end, end=end + max(steps) - 1)
        return _normal(ahead.predicted_mean, np.sqrt(np.asarray(ahead.forecast_variance)), levels)[_rows(steps)]

    return fitted


def sarimax(known: Known) -> Fitted:
    """statsmodels' SARIMAX (2, 1, 1) with harmonics of the day: a state for each of its bins would take hours."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    seasonal = bool(_seasons(known))
    scale = max(float(np.nanstd(known.values)), 1e-9)

    def waves(now: Known, first: int, stop: int) -> np.ndarray | None:
        # From the clock, so that the phase is the same whenever the history begins.
        turns = (now.start_s / now.bin_s + np.arange(first, stop)) / now.day
        angles = 2 * np.pi * np.outer(turns, np.arange(1, _HARMONICS + 1))
        return np.hstack([np.sin(angles), np.cos(angles)]) if seasonal else None

    def model(now: Known) -> SARIMAX:
        return SARIMAX(_filled(now) / scale, order=(2, 1, 1), exog=waves(now, 0, len(now.values)))

    parameters = model(known).fit(disp=False, maxiter=50).params

    def fitted(now: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        end = len(now.values)
        exog = waves(now, end, end + max(steps))
        ahead = model(now).filter(parameters).get_forecast(max(steps), exog=exog)
        return scale * _normal(ahead.predicted_mean, ahead.se_mean, levels)[_rows(steps)]

    return fitted


def _statsforecast(model: object, known: Known) -> Fitted:
    model.fit(_filled(known))

    def fitted(now: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        # The upper end of the central 90 % is the quantile at 0.95.
        central = {level: round(100 * (2 * level - 1)) for level in levels if level > 0.5}
        said = model.forward(y=_filled(now), h=max(steps), level=list(central.values()))
        columns = [said[f"hi-{central[level]}" if level in central else "mean"] for level in levels]
        return np.column_stack(columns)[_rows(steps)]

    return fitted


def auto_ets(known: Known) -> Fitted:
    """statsforecast's AutoETS. It knows no seasons of more than 24 bins, and takes seconds to say so: none is named."""
    from statsforecast.models import AutoETS

    return _statsforecast(AutoETS(season_length=1), known)


def auto_theta(known: Known) -> Fitted:
    """statsforecast's AutoTheta with the daily season."""
    from statsforecast.models import AutoTheta

    return _statsforecast(AutoTheta(season_length=next(iter(_seasons(known)), 1)), known)


def mstl(known: Known) -> Fitted:
    """statsforecast's MSTL of day and week with AutoETS for the trend, as by default; that alone without a season."""
    from statsforecast.models import MSTL, AutoETS

    trend = AutoETS(model="ZZN")
    seasons = _seasons(known)
    return _statsforecast(MSTL(season_length=seasons, trend_forecaster=trend) if seasons else trend, known)


def dynamo_arima(_known: Known) -> Fitted:
    """As NVIDIA Dynamo's planner: auto_arima without a season on the last 50 intervals of 180 s, refitted each step.

    The planner asks for the next interval's middle only; here its model is asked for all steps, with its intervals.
    """
    from pmdarima import auto_arima

    def fitted(now: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        width = max(1, round(_INTERVAL_S / now.bin_s))
        whole = len(now.values) // width
        intervals = _filled(now)[len(now.values) - whole * width :].reshape(whole, width).mean(axis=1)[-_BUFFER:]
        ahead = [(step - 1) // width for step in steps]
        model = auto_arima(intervals, seasonal=False, suppress_warnings=True, error_action="ignore")
        columns = []
        for level in levels:
            outside = 2 * (1 - level) if level > 0.5 else 0.5
            middle, ends = model.predict(n_periods=max(ahead) + 1, return_conf_int=True, alpha=outside)
            columns.append(np.asarray(ends[:, 1] if level > 0.5 else middle)[ahead])
        return np.column_stack(columns)

    return fitted


def prophet(_known: Known) -> Fitted:
    """Prophet with its default seasons and quantiles of sampled paths. It can't be moved on: it is fitted each time."""
    from prophet import Prophet

    logging.getLogger("cmdstanpy").disabled = True

    def fitted(now: Known, steps: Sequence[int], levels: Sequence[float]) -> np.ndarray:
        end = len(now.values)
        at = pd.to_datetime(now.start_s + now.bin_s * np.arange(end + max(steps)), unit="s")
        model = Prophet(uncertainty_samples=_PATHS)
        model.fit(pd.DataFrame({"ds": at[:end], "y": now.values}), seed=1)
        drawn = model.predictive_samples(pd.DataFrame({"ds": at[end:][_rows(steps)]}))["yhat"]
        return np.quantile(drawn, levels, axis=1).T

    return fitted


RIVALS: dict[str, Rival] = {
    "statsmodels-ets": statsmodels_ets,
    "sarimax": sarimax,
    "auto-ets": auto_ets,
    "mstl": mstl,
    "auto-theta": auto_theta,
    "dynamo-arima": dynamo_arima,
    "prophet": prophet,
}
