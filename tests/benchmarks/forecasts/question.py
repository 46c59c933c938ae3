"""What `headstart benchmark` asks by default, of Headstart as it is."""

from __future__ import annotations

from collections.abc import Sequence

from autoscaler.backtest.benchmark.cases import Question
from autoscaler.backtest.benchmark.variants import VARIANTS
from autoscaler.cli import benchmark_options as options
from autoscaler.cli.params import parse_load_latency


def default_question(loads: Sequence[str]) -> Question:
    """The question with those loads, as the command line spells them."""
    return Question(
        loads=[parse_load_latency(load) for load in loads],
        late_budgets=options.DEFAULT_BUDGETS,
        seeds=[0],
        max_wait_s=10.0,
        mean_replicas=20.0,
        score_from=0.5,
        variants=VARIANTS[:1],
    )
