"""All models by name, as the command line's `--model` takes them. A model's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from forecasting.clock import UTC_ZONE
from forecasting.errors import ModelError
from forecasting.protocol import Forecaster, PointModel

_Model = TypeVar("_Model")

_DAY_S = 86_400.0
_WEEK_S = 7 * _DAY_S


@dataclass(frozen=True, slots=True)
class ModelSetting:
    """What a model's constructor may need to know.

    Attributes:
        bin_s: width of a bin in seconds.
        lead_s: horizon in seconds that matters most: the load of a model.
        periods: bins per season, increasing; None lets each model detect its own.
        horizon_s: the longest horizon that intervals are learned for, in seconds.
        steps: the only horizons in bins that will be asked for, increasing; None is all up to the longest.
        time_zone: IANA name of the zone whose clocks the seasons of demand follow, in models that know of clocks.
    """

    bin_s: float
    lead_s: float = 600.0
    periods: tuple[int, ...] | None = None
    horizon_s: float = _DAY_S
    steps: tuple[int, ...] | None = None
    time_zone: str = UTC_ZONE

    @property
    def steps_max(self) -> int:
        """The longest horizon in bins."""
        return max(1, round(max(self.horizon_s, self.lead_s) / self.bin_s))


def point_model_names() -> tuple[str, ...]:
    """Names of the models without intervals, the naive ones first."""
    return tuple(_POINT_MODELS)


def forecaster_names() -> tuple[str, ...]:
    """Names of the models with intervals of their own. They learn with each bin: to fit them again teaches nothing."""
    return tuple(_FORECASTERS)


def model_names() -> tuple[str, ...]:
    """Names of all models, the naive ones first."""
    return (*_POINT_MODELS, *_FORECASTERS)


def point_model(name: str, setting: ModelSetting) -> PointModel:
    """The point model called `name`. Raises ModelError for a name that isn't one."""
    return _build(_POINT_MODELS, name, setting)


def forecaster(name: str, setting: ModelSetting) -> Forecaster:
    """The model called `name`, with conformal intervals if it has none. Raises ModelError for a name that isn't one."""
    return _build({name: _with_intervals(build) for name, build in _POINT_MODELS.items()} | _FORECASTERS, name, setting)


def _build(models: Mapping[str, Callable[[ModelSetting], _Model]], name: str, setting: ModelSetting) -> _Model:
    if name not in models:
        raise ModelError(f"there is no model {name!r}; choose from {', '.join(models)}")
    return models[name](setting)


def _last_value(_setting: ModelSetting) -> PointModel:
    from forecasting.naive import LastValue

    return LastValue()


def _window_mean(_setting: ModelSetting) -> PointModel:
    from forecasting.naive import WindowMean

    return WindowMean()


def _exponential_level(_setting: ModelSetting) -> PointModel:
    from forecasting.naive import ExponentialLevel

    return ExponentialLevel()


def _same_time(period_s: float, name: str) -> Callable[[ModelSetting], PointModel]:
    def build(setting: ModelSetting) -> PointModel:
        from forecasting.naive import SeasonalNaive

        return SeasonalNaive(max(1, round(period_s / setting.bin_s)), name=name)

    return build


def _seasonal_profile(setting: ModelSetting) -> PointModel:
    from forecasting.profile import SeasonalProfile

    return SeasonalProfile(periods=setting.periods, lead_s=setting.lead_s, time_zone=setting.time_zone)


def _holt_winters(setting: ModelSetting) -> PointModel:
    from forecasting.holt_winters import HoltWinters

    return HoltWinters(periods=setting.periods)


def _ets(setting: ModelSetting) -> PointModel:
    from forecasting.statsmodels_models import StatsmodelsETS

    return StatsmodelsETS(period=None if setting.periods is None else min(setting.periods, default=0))


_POINT_MODELS: dict[str, Callable[[ModelSetting], PointModel]] = {
    "last-value": _last_value,
    "window-mean": _window_mean,
    "exponential-level": _exponential_level,
    "same-time-yesterday": _same_time(_DAY_S, "same-time-yesterday"),
    "same-time-last-week": _same_time(_WEEK_S, "same-time-last-week"),
    "seasonal-profile": _seasonal_profile,
    "holt-winters": _holt_winters,
    "ets": _ets,
}


def _with_intervals(build: Callable[[ModelSetting], PointModel]) -> Callable[[ModelSetting], Forecaster]:
    def build_with_intervals(setting: ModelSetting) -> Forecaster:
        from forecasting.conformal import Conformal

        return Conformal(build(setting), setting.steps_max)

    return build_with_intervals


def _headstart(setting: ModelSetting) -> Forecaster:
    from forecasting.at_leads import LeadForecaster

    return LeadForecaster(setting.steps_max, steps=setting.steps, time_zone=setting.time_zone)


def _boosted(setting: ModelSetting) -> Forecaster:
    from forecasting.at_leads import LeadForecaster
    from forecasting.boosted import Boosted

    return LeadForecaster(
        setting.steps_max,
        members=(lambda lead: Boosted.start(lead=lead),),
        name="boosted",
        steps=setting.steps,
        time_zone=setting.time_zone,
    )


_FORECASTERS: dict[str, Callable[[ModelSetting], Forecaster]] = {"headstart": _headstart, "boosted": _boosted}
