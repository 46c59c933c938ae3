"""A plan as a file: what others replay."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autoscaler.backtest.setting import ShortIntArray
from autoscaler.traces.trace import Trace
from autoscaler.traces.write import write_columns


def write_plan(trace: Trace, unit: str, desired: ShortIntArray, path: Path) -> None:
    """Write `timestamp,demand,desired`, a row per bin of the whole trace, as CSV or Parquet.

    Args:
        trace: what was replayed; its missing bins have an empty demand.
        unit: the unit of work in the demand column.
        desired: replicas from the start of each bin on, shape (n,), decided from earlier bins only.
        path: written aside and renamed.
    """
    time_ns = np.rint(trace.timestamps_s * 1e6).astype(np.int64) * 1000
    write_columns(path, time_ns, {"demand": trace.demand[unit], "desired": desired.astype(np.int64)}, dated=trace.dated)
