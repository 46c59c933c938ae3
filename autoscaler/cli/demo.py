"""`headstart demo`: the main job on a bundled trace, and what to try next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoscaler.cli.backtest import print_result, write_reports
from autoscaler.cli.output import progress, table_console
from autoscaler.cli.outs import check_outs, parse_out, said_of

# Office hours are what most companies' inference looks like. A replica: a mid-sized model on one GPU that sustains two
# requests a second and loads in ten minutes.
_TRACE = "code"
_CAPACITY_RPS = 2.0
_LOAD_S = 600.0
_MAX_WAIT_S = 10.0
_LATE_BUDGET = 0.01
_SCORE_FROM = 1 / 3
_GPU_HOUR_PRICE = 2.5


def demo(
    out: Annotated[Path, typer.Option("--out", parser=parse_out, metavar="FILE", help="Where the report goes.")] = Path(
        "headstart-demo.html"
    ),
) -> None:
    """Backtest a bundled trace: a table, a report page, and what to try next. Needs nothing else."""
    from autoscaler.backtest.from_trace import Scenario, setting_of
    from autoscaler.backtest.run import priced, run_backtest
    from autoscaler.core.load_latency import LoadLatency
    from autoscaler.report import words
    from autoscaler.traces.bundled import bundled_trace_path
    from autoscaler.traces.read import read_trace

    piped = check_outs({"--out": out}, source=None)
    path = bundled_trace_path(_TRACE)
    scenario = Scenario(
        capacity_rps={"requests": _CAPACITY_RPS},
        load_latency=LoadLatency.constant(_LOAD_S),
        max_wait_s=_MAX_WAIT_S,
        late_budget=_LATE_BUDGET,
        score_from=_SCORE_FROM,
    )
    setting = setting_of(read_trace(path), scenario)
    with progress("replaying three weeks of a code assistant") as report:
        result = run_backtest(setting, report=report)
    result = priced(result, gpu_hour_price=_GPU_HOUR_PRICE, gpus_per_replica=1)
    console = table_console(beside=piped)
    console.print(
        f"Three weeks of a code assistant ({path}), a replica sustains {_CAPACITY_RPS:g} requests/s and loads for "
        f"{_LOAD_S / 60:g} minutes,\nat most {words.share(_LATE_BUDGET)} of requests may wait longer than "
        f"{_MAX_WAIT_S:g} s. The first week is history, the rest is scored.\n"
    )
    print_result(result, beside=piped)
    write_reports(result, json_out=None, html_out=out, png_out=None)
    console.print(
        f"\nA GPU-hour at ${_GPU_HOUR_PRICE:g}. The report, with every late bin to zoom into: {said_of(out)}\n\n"
        "Next, after '. .venv/bin/activate' in a checkout:\n"
        f"  headstart trace describe {path}\n"
        f"  headstart forecast {path}\n"
        "  headstart backtest YOURS.csv --capacity 2 --load-latency 600s --max-wait 10s --late-budget 1% "
        "--html-out report.html\n"
        "  YOURS.csv: 'timestamp' and 'requests' (count per bin); see headstart trace import --help for other formats."
    )
