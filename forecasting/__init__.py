"""Forecasts of bursty demand: arrays in, quantiles out. Knows nothing of Kubernetes."""

import os

from forecasting.kernel_cache import use_kernel_cache

# numba reads its environment when it is first imported. At LLVM's lowest level of optimisation our kernels run as fast
# as at its highest, numba's default, but for Holt-Winters (2.3 ms a fit instead of 1.6), and a first decision that has
# to compile them takes 15 s instead of 16.5.
os.environ.setdefault("NUMBA_OPT", "1")
use_kernel_cache()
