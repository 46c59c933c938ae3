"""5,000 objects in one process, each with a state of its own: seconds per tick, and memory.

Part of `make benchmark-speed`. Memory must stay below 1.5 GiB, also with 14 days of minutes, which is all that is
remembered. Times are shown.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1_800)

OBJECTS = 5_000
TICKS = 4
RSS_MIB_MAX = 1_536.0


@pytest.mark.benchmark(group="5,000 objects forecast and decided")
@pytest.mark.parametrize("days", [3, 14])
def test_5_000_objects_with_histories_of_their_own(benchmark, days):
    script = Path(__file__).with_name("fleet_of_states.py")
    command = [sys.executable, str(script), str(OBJECTS), str(days), str(TICKS)]

    def run():
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    # The process is run once; what it measured is what counts, not how long its histories took to rebuild.
    measured = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(measured)
    sys.stderr.write(f"\n{OBJECTS:,} objects, {days} days of minutes: {measured}\n")
    assert measured["rss_peak_mib"] < RSS_MIB_MAX
