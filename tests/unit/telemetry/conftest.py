"""The hand-made decisions are shared with the tests of `headstart explain`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
