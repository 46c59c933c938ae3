"""Execute a notebook from its first cell and store what it shows: `python notebooks/execute.py NOTEBOOK [OUT]`.

Times of execution and the Python version are left out, so that the same results are the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from autoscaler.files import write_aside

CELL_TIMEOUT_S = 300


def execute(path: Path, out: Path) -> None:
    """Execute the notebook at `path` in the kernel of this environment and write it to `out`, aside and then renamed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; nothing is written.
    """
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", record_timing=False, resources=resources
    ).execute()
    notebook.metadata.language_info.pop("version", None)
    write_aside(out, lambda aside: nbformat.write(notebook, aside))


if __name__ == "__main__":
    source, *target = map(Path, sys.argv[1:])
    execute(source, target[0] if target else source)
