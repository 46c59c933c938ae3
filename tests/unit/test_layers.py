"""What an import loads: statsmodels and scikit-learn take two seconds each, so only who asks for a model pays for it.

`make check` enforces who may import what (the contracts in pyproject.toml); this shows when.
"""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import autoscaler
import forecasting

HOMES = {"forecasting.boosted", "forecasting.statsmodels_models"}


def modules_of(package: ModuleType) -> list[str]:
    return [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


@pytest.mark.timeout(120)
def test_only_their_homes_load_statsmodels_and_scikit_learn() -> None:
    names = [name for name in modules_of(autoscaler) + modules_of(forecasting) if name not in HOMES]
    assert {"autoscaler.backtest.setting", "autoscaler.cli.app", "forecasting.series"} <= set(names)
    heavy = ["sklearn", "statsmodels"]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {heavy!r} if heavy in sys.modules]\n"
        "    if loaded:\n"
        "        sys.exit(f'importing {name} loads {loaded}')\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
