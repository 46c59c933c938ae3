"""Load latencies that were measured in production, by the names that the command line knows."""

from __future__ import annotations

import numpy as np

from autoscaler.core.load_latency import LoadLatency

# Fine enough that the percentiles come out again within 2 %.
_QUANTILES = 1_000


def _from_percentiles(label: str, levels: tuple[float, ...], loads_s: tuple[float, ...]) -> LoadLatency:
    """Straight lines between the percentiles that were published, and from zero to the first."""
    at = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    quantiles_s = np.interp(at, (0.0, *levels), (0.0, *loads_s))
    return LoadLatency.empirical(quantiles_s.tolist(), label=label)


# 7,531 base-model loads of a Stable Diffusion service: 2.6 s at p10, 22.7 s median, 42 s at p90, 52 s at p99, 79 s at
# worst.
KNOWN_LOADS = {
    "stable-diffusion": _from_percentiles("stable-diffusion", (0.1, 0.5, 0.9, 0.99, 1.0), (2.6, 22.7, 42.0, 52.0, 79.0))
}
