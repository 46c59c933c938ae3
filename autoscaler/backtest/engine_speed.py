"""How fast one replica's inference engine serves requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.errors import UsageError
from autoscaler.traces.requests import RequestLog
from forecasting.series import FloatArray


@dataclass(frozen=True, slots=True)
class EngineSpeed:
    """What one replica's inference engine does at a full batch. UsageError for a number that can't be.

    Attributes:
        concurrency: requests that it serves at once, at least 1.
        prefill_tokens_per_s: prompt tokens per second in one slot.
        decode_tokens_per_s: output tokens per second in one slot, the inverse of the time per output token.
    """

    concurrency: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise UsageError(f"concurrency is {self.concurrency}: a replica must serve at least 1 request at once")
        for name in ("prefill_tokens_per_s", "decode_tokens_per_s"):
            speed = getattr(self, name)
            if not (math.isfinite(speed) and speed > 0):
                raise UsageError(f"{name} is {speed:g}: give tokens per second of one slot, above 0")

    def prefill_s(self, log: RequestLog) -> FloatArray:
        """Seconds from the start of service to the first token, shape (n,)."""
        return log.prompt_tokens / self.prefill_tokens_per_s

    def service_s(self, log: RequestLog) -> FloatArray:
        """Seconds that each request holds a slot, shape (n,)."""
        return self.prefill_s(log) + log.output_tokens / self.decode_tokens_per_s
