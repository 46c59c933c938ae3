"""Execute a notebook from its first cell and store what it shows: `python notebooks/execute.py NOTEBOOK [OUT]`.

Times of execution and the Python version are left out, so that the same results are the same file. Charts are stored
with 64 colours, in half of the bytes.
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from autoscaler.files import write_aside

CELL_TIMEOUT_S = 300
COLOURS = 64


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
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = with_few_colours(output.data["image/png"])
    write_aside(out, lambda aside: nbformat.write(notebook, aside))


def with_few_colours(png: str) -> str:
    """A PNG in base64 with COLOURS colours."""
    stored = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as chart:
        chart.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(stored, "PNG", optimize=True)
    return base64.b64encode(stored.getvalue()).decode()


if __name__ == "__main__":
    source, *target = map(Path, sys.argv[1:])
    execute(source, target[0] if target else source)
