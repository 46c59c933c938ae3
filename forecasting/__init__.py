"""Forecasts of bursty demand: arrays in, quantiles out. Knows nothing of Kubernetes."""

from forecasting.kernel_cache import use_kernel_cache

use_kernel_cache()
