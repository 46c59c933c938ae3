"""Errors of the forecasting package: one sentence each, saying what was given and what is allowed."""


class ForecastingError(ValueError):
    """Base of all errors that this package raises for bad input."""


class SeriesError(ForecastingError):
    """A series that is not one: wrong shape, negative or infinite work, a bin width of zero."""


class ModelError(ForecastingError):
    """A model asked for what it can't do: a horizon below 1, a level outside (0, 1), a period it has not seen."""
