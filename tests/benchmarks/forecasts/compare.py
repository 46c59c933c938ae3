"""Compares our forecasts with naive ones and with other libraries': `make benchmark-forecasts`.

Every model is asked at the same origins over the later half of each trace, for the same steps and levels, and knows the
bins before the origin only. Naive models are compared at all origins; rivals, which need up to seconds per forecast,
at some of them. Their answers are kept in the folder and taken again for the same problem.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
from asked import answer_of, arguments, ask_rivals, parsed
from ours import OURS, run
from problems import Problem, problem_of
from scores import markdown, score

from autoscaler.traces.read import read_trace


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    problems = []
    for path in options.paths:
        trace = read_trace(path, (options.unit,))
        problems.append(problem_of(trace, options.unit, origins=options.origins, rival_origins=options.rival_origins))
    if not problems:
        sys.exit(f"{options.traces}: no trace matches")
    _run_ours(problems, options.folder)
    ask_rivals(problems, options)
    print(report(problems, options.folder, options.rival))  # noqa: T201


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "build/forecasts")
    parser.add_argument("--unit", default="requests", help="the column of counts")
    parser.add_argument("--origins", type=int, default=1_000, help="per trace, at most")
    parser.add_argument("--rival-origins", type=int, default=40, help="per trace, of those")
    return parsed(parser)


def _run_ours(problems: list[Problem], folder: Path) -> None:
    times = []
    for problem in problems:
        for name in OURS:
            forecasts, took = run(name, problem)
            forecasts.to_parquet(answer_of(folder, problem, name))
            times.append({"trace": problem.name, "model": name, **took})
        print(f"{problem.name}: ours at {len(problem.origins)} origins", flush=True)  # noqa: T201
    pd.DataFrame(times).to_parquet(folder / "times.parquet")


def report(problems: list[Problem], folder: Path, rivals: list[str]) -> str:
    """Both comparisons as Markdown; writes them, and their rows as Parquet, into `folder`."""
    against_naive, against_all = [], []
    for problem in problems:
        for name in (*OURS, *rivals):
            path = answer_of(folder, problem, name)
            if not path.exists():
                continue
            forecasts = pd.read_parquet(path)
            if name in OURS:
                against_naive += score(problem, name, forecasts, problem.origins)
            against_all += score(problem, name, forecasts, problem.rival_origins)
    naive, everything = pd.DataFrame(against_naive), pd.DataFrame(against_all)
    naive.to_parquet(folder / "scores-naive.parquet")
    everything.to_parquet(folder / "scores-all.parquet")
    page = "\n".join(
        [
            markdown(naive, title="Against naive models"),
            markdown(everything, title="Against all, at fewer origins"),
            _seconds(problems, folder, rivals),
        ]
    )
    (folder / "forecasts.md").write_text(page)
    return page


def _seconds(problems: list[Problem], folder: Path, rivals: list[str]) -> str:
    """Medians of what each takes; a rival's forecast holds what it does with the bins since its fit."""
    lines = ["## Seconds", "", "| model | fit | update | forecast |", "|---|---:|---:|---:|"]
    ours = pd.read_parquet(folder / "times.parquet").groupby("model", sort=False)[["fit_s", "update_s", "forecast_s"]]
    for name, row in ours.median().iterrows():
        lines.append(f"| {name} | {row['fit_s']:.3g} | {row['update_s']:.2g} | {row['forecast_s']:.2g} |")
    for name in rivals:
        paths = [answer_of(folder, problem, name) for problem in problems]
        if any(path.exists() for path in paths):
            took = pd.concat([pd.read_parquet(path) for path in paths if path.exists()])
            fit_s, forecast_s = took["fit_s"][took["fit_s"] > 0].median(), took["forecast_s"].median()
            lines.append(f"| {name} | {fit_s:.3g} |  | {forecast_s:.2g} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
