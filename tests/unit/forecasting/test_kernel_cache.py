"""Compiled kernels are kept for the last sources, and for a working day while processes may still load them; and they
are optimised as lightly as it takes, unless the user says otherwise.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

HOUR_S = 3_600.0


def test_old_caches_go_and_those_in_use_stay(tmp_path):
    home = tmp_path / "headstart"
    for hours in (1, 2, 3, 7, 9, 30):
        cache = home / f"kernels-{hours:016d}"
        cache.mkdir(parents=True)
        at_s = time.time() - hours * HOUR_S
        os.utime(cache, (at_s, at_s))
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    program = "import forecasting, os; print(os.environ['NUMBA_CACHE_DIR'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    # The one for the sources as they are is the newest; names of the others have but digits.
    names = [path.name.removeprefix("kernels-") for path in home.iterdir()]
    hours_kept = {int(name) for name in names if name.isdigit()}
    assert hours_kept == {1, 2, 3, 7}
    assert done.stdout.strip() in {str(path) for path in home.iterdir()}


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"NUMBA_OPT": "3"}, "3")])
def test_kernels_are_optimised_lightly_unless_the_user_says_otherwise(given, used):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_OPT"}
    program = "from forecasting import kernel; from numba import config; print(int(config.OPT))"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == used
