"""What the notebooks' charts share: sentences that a cell has computed, and axes without clutter."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import dates
from matplotlib.axes import Axes

from autoscaler.report.picture_style import MUTED, plain_axes


def say(text: str) -> None:
    """Show a sentence that a cell has computed."""
    display(Markdown(text.replace("$", r"\$")))  # a dollar, no formula


def chart(title: str, ylabel: str, *, xlabel: str = "", height: float = 3.0, pad: float = 24) -> Axes:
    """Axes without clutter, with what they show above and at both sides."""
    _, axes = plt.subplots(figsize=(9.5, height))
    labelled(axes, title, ylabel, xlabel=xlabel, pad=pad)
    return axes


def labelled(axes: Axes, title: str, ylabel: str, *, xlabel: str = "", pad: float = 24) -> None:
    """Say above and at both sides what the axes show."""
    plain_axes(axes, title, pad=pad)
    axes.set_ylabel(ylabel, color=MUTED)
    axes.set_xlabel(xlabel, color=MUTED)


def legend(axes: Axes, columns: int = 4) -> None:
    """What the lines are, between the title and the axes: nothing is covered."""
    place = {"loc": "lower left", "bbox_to_anchor": (-0.005, 0.985), "borderaxespad": 0.1}
    axes.legend(frameon=False, fontsize=9, labelcolor=MUTED, ncols=columns, **place)


def dated(axes: Axes, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """From `first` to `last`, with as few words on the axis as say when."""
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.set_xlim(first, last)
    axes.set_ylim(bottom=0)
