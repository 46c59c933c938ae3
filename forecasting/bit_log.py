"""Flags that are only ever appended, eight to a byte: 28 days of minutes are 5 kB, as bytes they were 40."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from forecasting.append_log import AppendLog

_PER_BYTE = 8


@dataclass(frozen=True, slots=True)
class BitLog:
    """An immutable view of appended flags, of which the newest are kept; shares its storage as AppendLog does.

    Attributes:
        rows_max: flags kept.
    """

    rows_max: int
    _bytes: AppendLog = field(repr=False)
    _rest: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, *, rows_max: int) -> Self:
        """A log without flags."""
        packed = AppendLog.empty(rows_max=-(-rows_max // _PER_BYTE), dtype=np.uint8)
        return cls(rows_max, packed, np.zeros(0, dtype=np.bool_))

    def __len__(self) -> int:
        return min(self.rows_max, _PER_BYTE * len(self._bytes) + len(self._rest))

    @property
    def rows(self) -> npt.NDArray[np.bool_]:
        """The flags kept, oldest first, shape (n,): a copy."""
        packed = np.unpackbits(self._bytes.rows).view(np.bool_)
        return np.concatenate([packed, self._rest])[-self.rows_max :]

    def extend(self, flags: npt.NDArray[np.bool_]) -> Self:
        """The log with more flags, shape (n,)."""
        waiting = np.concatenate([self._rest, flags])
        whole = len(waiting) // _PER_BYTE * _PER_BYTE
        packed = self._bytes.extend(np.packbits(waiting[:whole])) if whole else self._bytes
        return type(self)(self.rows_max, packed, waiting[whole:].copy())
