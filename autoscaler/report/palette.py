"""One look per policy family, the same in the page and in the picture.

The hues are Okabe and Ito's set for colour-blind readers, darkened where their contrast on white is below 3:1 and
lightened for dark pages. A default setting is hollow, the best setting in hindsight filled, so that shape and fill tell
policies apart without hue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.report.summary import HEADSTART, OPTIMUM, STATIC, family_of


@dataclass(frozen=True, slots=True)
class Look:
    """How a family is drawn.

    Attributes:
        key: name of its CSS class: letters, digits and '-' only.
        light: colour on white.
        dark: colour on a dark page.
        marker: 'circle', 'square', 'triangle', 'diamond', 'down', 'cross' or 'star'.
    """

    key: str
    light: str
    dark: str
    marker: str


LOOKS = {
    HEADSTART: Look("headstart", "#0067b1", "#5db4f0", "star"),
    "hpa": Look("hpa", "#d04a02", "#ff8a4c", "circle"),
    "keda": Look("keda", "#a8448c", "#e08cc7", "square"),
    "knative": Look("knative", "#00845d", "#3ecf9f", "triangle"),
    STATIC: Look("static", "#6b7280", "#9aa3b2", "cross"),
    OPTIMUM: Look("optimum", "#1f2937", "#e5e7eb", "diamond"),
}
_OTHERS = (
    Look("other-1", "#97730a", "#e6c34a", "down"),
    Look("other-2", "#2b7f8c", "#7fd1de", "down"),
    Look("other-3", "#7a5bbf", "#b79df0", "down"),
)
ALL_LOOKS = (*LOOKS.values(), *_OTHERS)

MODEL_LOOKS = (LOOKS[HEADSTART], LOOKS["hpa"], LOOKS["knative"], LOOKS["keda"], *_OTHERS)
"""For models that share GPUs, in turn: those with a hue."""
TOGETHER_LOOK = LOOKS[STATIC]
"""For all models that have no look of their own."""


def looks_of(names: Sequence[str]) -> dict[str, Look]:
    """Policy or frontier name -> look; families that have none of their own share three others, in the given order."""
    looks: dict[str, Look] = {}
    others: list[str] = []
    for name in names:
        family = family_of(name)
        if family in LOOKS:
            looks[name] = LOOKS[family]
            continue
        if family not in others:
            others.append(family)
        looks[name] = _OTHERS[others.index(family) % len(_OTHERS)]
    return looks
