"""The options of `headstart benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoscaler.cli.outs import parser_without_stdout
from autoscaler.cli.params import number_parser, parse_load_latency, share_parser

if TYPE_CHECKING:
    from autoscaler.core.load_latency import LoadLatency
else:
    LoadLatency = object  # as in params: typer evaluates annotations, and the class itself imports numpy

_WHERE = "Where it runs"

DEFAULT_LOADS = ("30s", "120s", "600s", "stable-diffusion")
DEFAULT_BUDGETS = (0.05, 0.01, 0.001)
DEFAULT_OUT = Path("headstart-benchmark")

TracesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FOLDER_OR_FILE...",
        help="CSV or Parquet with 'timestamp' and 'requests' per bin; of a folder, all such files.",
        show_default=False,
    ),
]
LoadsOption = Annotated[
    list[LoadLatency] | None,
    typer.Option(
        "--load-latency",
        parser=parse_load_latency,
        metavar="DURATION | NAME | lognormal:MEDIAN,SIGMA | empirical:FILE",
        help="From ordering a replica to its readiness; repeat it.",
        show_default=", ".join(DEFAULT_LOADS),
    ),
]
BudgetsOption = Annotated[
    list[float] | None,
    typer.Option(
        "--late-budget",
        parser=share_parser(),
        metavar="SHARE",
        help="The share of the work that may be late; repeat it.",
        show_default="5%, 1%, 0.1%",
    ),
]
SeedsOption = Annotated[
    list[int] | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**32 - 1,
        help="For load latencies drawn at random; repeat it.",
        show_default="0",
    ),
]
MeanReplicasOption = Annotated[
    float,
    typer.Option(
        "--mean-replicas",
        parser=number_parser(1e-3, 1e6),
        metavar="NUMBER",
        help="What a replica sustains is chosen so that each trace needs this many on average.",
        show_default="20",
    ),
]
BoostedOption = Annotated[
    bool, typer.Option("--boosted", help="Also Headstart with boosted trees: about ten times slower.")
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        parser=parser_without_stdout("results are several files; name a folder"),
        metavar="FOLDER",
        help="Where results go, and where a benchmark that was stopped is taken up again.",
    ),
]
JobsOption = Annotated[
    int,
    typer.Option(
        "--jobs",
        min=-1,
        max=10_000,
        help="Jobs at once; -1 is one per core.",
        show_default="-1",
        rich_help_panel=_WHERE,
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="joblib's backend: loky (processes); dask or ray, on the cluster that DASK_SCHEDULER_ADDRESS or "
        "RAY_ADDRESS names, else on one of its own on this machine.",
        rich_help_panel=_WHERE,
    ),
]
