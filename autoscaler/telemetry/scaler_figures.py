"""What the external scaler has counted: a message between its processes, so that nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ScalerFigures:
    """Of one process since it began, or of all that there were.

    Attributes:
        calls: (method, name of the gRPC status) -> calls that ended so.
        streams: open now.
        guests: workloads that triggers describe, now.
        certificate_problem: why newer certificates aren't served, one line; '' where there is nothing wrong.
        certificate_expires_s: when the served certificate ends, seconds since the epoch; None without TLS.
        restarts: times that the process was started anew.
    """

    calls: Mapping[tuple[str, str], int] = field(default_factory=dict)
    streams: int = 0
    guests: int = 0
    certificate_problem: str = ""
    certificate_expires_s: float | None = None
    restarts: int = 0
