"""How our kernels are compiled: kept on disk, and without what nobody calls them by.

numba makes two wrappers for every kernel, one for C and one for Python. We never call one from C, and most kernels only
from other kernels: those are `inner`. `py_func` is the Python form, as with `njit`.

What compiles slowly is written out as a loop: one sum over an array takes 0.4 s, one assignment of a slice of rows
1.5 s; the first zeros, copy, square or iteration over an array 0.05 to 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, TypeVar, cast

from numba import njit, types
from numba.core.registry import CPUDispatcher

_Function = TypeVar("_Function", bound=Callable[..., Any])

kernel = partial(njit, cache=True, no_cfunc_wrapper=True)


class _Inner(CPUDispatcher):
    def __call__(self, *args: Any) -> Any:
        """Call the kernel from Python, as tests do: without a wrapper the process would end at a null pointer."""
        return self._with_wrapper(*args)

    @cached_property
    def _with_wrapper(self) -> Any:
        return njit(self.py_func)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile for an integer where numba would for the literal 1 first: 0.35 s for all that get one."""
        return super().get_call_template(tuple(map(types.unliteral, args)), kws)


def inner(function: _Function) -> _Function:
    """A kernel that only kernels call, without a wrapper for Python: a first decision has 58, which saves it 1.5 s."""
    options = {"nopython": True, "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
    made = _Inner(function, targetoptions=options)
    made.enable_caching()
    return cast(_Function, made)
