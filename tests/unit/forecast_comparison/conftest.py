"""Lets tests import the comparison's modules, which are scripts beside the benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "forecasts"))
