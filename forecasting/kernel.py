"""How our kernels are compiled: kept on disk, and without what only C would call them by.

numba makes a C wrapper for every kernel, also for those that only other kernels call. `py_func` is the Python form, as
with `njit`. What compiles slowly is written out as a loop: one sum over an array takes 0.4 s, one assignment of a slice
of rows 1.5 s. Together a first decision in a fresh process takes 12.7 s instead of 16.9.
"""

from __future__ import annotations

from functools import partial

from numba import njit

kernel = partial(njit, cache=True, no_cfunc_wrapper=True)
