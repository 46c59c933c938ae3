"""What all charts of the picture share: colours, and axes without clutter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER = "#ffffff"
INK = "#16202c"
MUTED = "#55616f"
LINE = "#dfe4ea"
BAD = "#b3261e"
OVER = "#fbeceb"
ZERO = "#f5f7f9"


def blend(colour: str, part: float) -> str:
    """`part` of a colour '#rrggbb', the rest paper: solid, since transparency would add up where areas overlap."""
    mixed = (round(part * int(colour[at : at + 2], 16) + (1 - part) * int(PAPER[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def plain_axes(axes: Axes, title: str, *, pad: float = 24) -> None:
    """Title at the left, faint grid behind the curves, no frame."""
    axes.set_title(title, loc="left", size=11.5, weight="bold", color=INK, pad=pad)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=LINE, lw=0.8)
    axes.tick_params(colors=MUTED, length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
