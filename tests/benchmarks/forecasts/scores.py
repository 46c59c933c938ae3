"""Pinball loss and coverage of forecasts, per trace and lead, pooled over traces, and as Markdown."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from problems import LEVELS, LOAD_S, Problem

from forecasting.evaluate import pinball_loss

REFERENCE = "last-value"


def score(problem: Problem, model: str, forecasts: pd.DataFrame, origins: np.ndarray) -> list[dict[str, object]]:
    """A row per lead over the `origins` whose outcome is known.

    Its `loss` is the mean pinball loss over LEVELS and origins, over the mean demand of the trace; its columns
    `below_<level>` are the shares of outcomes not above each quantile.
    """
    mean = float(np.nanmean(problem.values))
    rows = []
    for lead_s, step in zip(problem.leads_s, problem.steps, strict=True):
        said = forecasts[forecasts["step"] == step].set_index("origin").reindex(origins)
        bins = origins + step - 1
        actual = np.where(bins < len(problem.values), problem.values[np.minimum(bins, len(problem.values) - 1)], np.nan)
        quantiles = said[[f"q{level}" for level in LEVELS]].to_numpy(np.float64)
        known = ~np.isnan(actual)
        if np.isnan(quantiles[known]).any():
            raise ValueError(f"{problem.name}: {model} has no forecast at some origin, {lead_s:g} s ahead")
        losses = [
            pinball_loss(actual[known], np.ascontiguousarray(quantiles[known, i]), level).mean()
            for i, level in enumerate(LEVELS)
        ]
        below = (actual[known, None] <= quantiles[known]).mean(axis=0)
        rows.append(
            {
                "trace": problem.name,
                "model": model,
                "lead_s": lead_s,
                "origins": int(known.sum()),
                "loss": float(np.mean(losses)) / mean,
                **{f"below_{level}": float(share) for level, share in zip(LEVELS, below, strict=True)},
            }
        )
    return rows


def relative(scores: pd.DataFrame) -> pd.DataFrame:
    """Loss over the last value's on the same trace, lead and origins: a row per model and lead, a column per trace."""
    table = scores.pivot_table(index=["lead_s", "model"], columns="trace", values="loss", sort=False)
    return table / table.xs(REFERENCE, level="model").reindex(table.index, level="lead_s")


def pooled(ratios: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean over traces of `relative`, a row per model and a column per lead.

    NaN where a model has no forecast of some trace that others have at this lead.
    """
    logs = np.log(ratios.dropna(axis="columns", how="all"))
    asked = logs.groupby("lead_s").transform(lambda column: column.notna().any())
    incomplete = (logs.isna() & asked).any(axis=1)
    means = np.exp(logs.mean(axis=1)).where(~incomplete)
    return means.unstack("lead_s").reindex(ratios.index.unique("model"))


def markdown(scores: pd.DataFrame, *, title: str) -> str:
    """Pooled loss per lead, then loss per trace at the load, then coverage per lead: tables in Markdown."""
    ratios = relative(scores)
    at_load = ratios.xs(LOAD_S, level="lead_s").T
    traces = scores["trace"].nunique()
    parts = [
        f"## {title}",
        f"Pinball loss as a share of the last value's: geometric mean over {traces} traces, per time from now.",
        markdown_table(pooled(ratios).rename(columns=_ahead), "model"),
        f"The same per trace, {_ahead(LOAD_S)} ahead.",
        markdown_table(at_load, "trace"),
        "Share of outcomes not above the quantile, mean over traces.",
        _coverage(scores),
    ]
    return "\n\n".join(parts) + "\n"


def _coverage(scores: pd.DataFrame) -> str:
    columns = {f"below_{level}": f"{level:g}" for level in LEVELS}
    means = scores.groupby(["model", "lead_s"], sort=False)[list(columns)].mean()
    cells = means.apply(lambda row: " / ".join(f"{100 * share:.0f}" for share in row), axis=1)
    asked = " / ".join(f"{100 * level:g}" for level in LEVELS)
    return f"Asked for: {asked} %.\n\n" + markdown_table(cells.unstack("lead_s").rename(columns=_ahead), "model")


def _ahead(lead_s: float) -> str:
    if lead_s == 0:
        return "next bin"
    return f"{lead_s / 60:g} min" if lead_s < 3_600 else f"{lead_s / 3_600:g} h"


def markdown_table(frame: pd.DataFrame, corner: str) -> str:
    lines = [
        "| " + " | ".join([corner, *map(str, frame.columns)]) + " |",
        "|---" + "|---:" * len(frame.columns) + "|",
    ]
    for name, row in frame.iterrows():
        lines.append("| " + " | ".join([str(name), *(_cell(value) for value in row)]) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return str(value)
