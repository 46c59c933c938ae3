"""What both comparisons share: their command line, and how rivals are asked."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from problems import Problem, write_problem
from rival_models import RIVALS
from rivals import is_answered

_HERE = Path(__file__).resolve().parent
# Threads of BLAS that wait for each other over small matrices made SARIMAX thirty times as slow on two cores.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def arguments(description: str | None, folder: str) -> argparse.ArgumentParser:
    """A command line that says which traces, where the results go and which rivals there are."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--traces", type=Path, default=Path("data"), help="folder of traces")
    parser.add_argument("--pattern", action="append", help="which of its files, repeatable; all without")
    parser.add_argument("--folder", type=Path, default=Path(folder), help="where the results go")
    parser.add_argument("--rivals-python", type=Path, help="interpreter that has the rivals' libraries; none without")
    parser.add_argument("--rival", action="append", choices=list(RIVALS), help="one of them, repeatable; all without")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was typed, with `paths`, the traces' files; makes the folder."""
    options = parser.parse_args()
    patterns = options.pattern or ["*.csv*"]
    options.paths = sorted({path for pattern in patterns for path in options.traces.glob(pattern)})
    options.rival = options.rival or list(RIVALS)
    options.folder.mkdir(parents=True, exist_ok=True)
    return options


def answer_of(folder: Path, problem: Problem, model: str) -> Path:
    """Where the forecasts of a model are."""
    return folder / f"{problem.name}-{model}.parquet"


def ask_rivals(problems: Sequence[Problem], options: argparse.Namespace) -> None:
    """Write the problems and have the rivals answer them. What they have answered already is taken again.

    Answers to others of the same name go: with no rivals to ask, they would be scored.
    """
    for old in options.folder.glob("*.json"):
        old.unlink()
    for problem in problems:
        asked = json.loads(write_problem(problem, options.folder).read_text())
        for answer in (answer_of(options.folder, problem, name) for name in options.rival):
            if not is_answered(answer, asked):
                answer.unlink(missing_ok=True)
    if options.rivals_python is not None:
        command = [options.rivals_python, _HERE / "rivals.py", options.folder, *options.rival]
        subprocess.run([str(part) for part in command], check=True, env={**os.environ, **_ONE_THREAD})
