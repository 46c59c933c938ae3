"""How our kernels are compiled: kept on disk, and without what only C would call them by.

numba makes a C wrapper for every kernel, also for those that only other kernels call; without them a first start takes
an eighth less time. `py_func` is the Python form, as with `njit`.
"""

from __future__ import annotations

from functools import partial

from numba import njit

kernel = partial(njit, cache=True, no_cfunc_wrapper=True)
