"""Each notebook runs from its first cell to its last, warns of nothing, and is stored with what it shows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BYTES_MAX = 400_000


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def warnings_of(cells: list[dict[str, Any]]) -> list[str]:
    outputs = [output for cell in cells for output in cell["outputs"]]
    return ["".join(output["text"]) for output in outputs if output.get("name") == "stderr"]


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.timeout(400)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_to_the_end_without_a_warning(notebook: Path, tmp_path: Path) -> None:
    executed = tmp_path / notebook.name
    command = [sys.executable, ROOT / "notebooks" / "execute.py", notebook, executed]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert warnings_of(code_cells(executed)) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_executed_small_and_without_paths_of_one_machine(notebook: Path) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell["outputs"]) >= 5
    assert warnings_of(cells) == []
    text = notebook.read_text()
    assert len(text.encode()) < BYTES_MAX
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_results_stand_in_outputs_and_not_in_its_text(notebook: Path) -> None:
    """Prose that names an amount or a share goes stale when the policy changes."""
    cells = json.loads(notebook.read_text())["cells"]
    prose = [re.sub(r"`[^`]*`", "", "".join(cell["source"])) for cell in cells if cell["cell_type"] == "markdown"]
    prose = [re.sub(r"(?m)^ {4}.*$", "", text) for text in prose]
    assert [found for text in prose for found in re.findall(r"\d[\d.,]* ?(?:%|GPU-hours)|\$\d[\d.,]*", text)] == []
