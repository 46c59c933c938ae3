"""What goes between the loop and the process that answers KEDA: pickled objects on a pipe that only these two have.

The loop sends a `Beginning`, and is answered by the port, or by a `Refused`. Then each `Update` is answered by a
`Guestlist`; None ends it.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.keda.board import Key, Posted, Seen
from autoscaler.keda.guest_limits import GUESTS_PER_NAMESPACE
from autoscaler.keda.tls import TlsFiles
from autoscaler.telemetry.scaler_figures import ScalerFigures

# To read one message keeps a call waiting for half a millisecond.
POSTS_MAX = 50
NEW_MAX = 10


@dataclass(frozen=True, slots=True)
class Listening:
    """Where KEDA asks.

    Attributes:
        address: host and port.
        tls: certificates; None speaks plaintext.
        allow_cross_namespace: whether a trigger may name an object of another namespace.
        guests_per_namespace: workloads of one namespace that triggers may describe.
    """

    address: str
    tls: TlsFiles | None = None
    allow_cross_namespace: bool = False
    guests_per_namespace: int = GUESTS_PER_NAMESPACE


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a process is started with.

    Attributes:
        listening: see Listening.
        guests: what triggers described to the process before, if it died.
        decided: what was posted to it, as old as it is when this is sent, two seconds before it is answered with.
    """

    listening: Listening
    guests: tuple[PredictiveAutoscaler, ...]
    decided: tuple[tuple[Key, Seen], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why it can't listen, one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class Update:
    """What was decided.

    Attributes:
        posts: newest decisions, at most POSTS_MAX.
        keys: the objects that exist; None where they are the same as before.
    """

    posts: tuple[tuple[Key, Posted], ...]
    keys: frozenset[Key] | None


@dataclass(frozen=True, slots=True)
class Guestlist:
    """What triggers describe, since the last one.

    Attributes:
        new: objects that came, at most NEW_MAX; the others follow next time.
        gone: objects that are asked for no more.
        figures: what this process has counted so far; it knows neither guests nor restarts.
    """

    new: tuple[PredictiveAutoscaler, ...]
    gone: tuple[Key, ...]
    figures: ScalerFigures
