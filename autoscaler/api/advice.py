"""What is allowed in an object and may still not be meant."""

from __future__ import annotations

from autoscaler.api.scalars import format_duration
from autoscaler.api.v1alpha1 import Mode, PredictiveAutoscaler
from autoscaler.core.event import NEVER_OUTSIDE, outside_surges

WEEK_S = 7 * 86_400.0
# Some ten requests per query at start: Prometheus answers with 11,000 points at most.
BINS_MAX = 100_000
# Longer than a month, so that events on days of it leave some free, and as fine as cron's usual steps.
_LOOKED_AT_S, _STEP_S = 5 * WEEK_S, 300.0


def advice(autoscaler: PredictiveAutoscaler) -> tuple[str, ...]:
    """One sentence each, what to do included."""
    spec = autoscaler.spec
    target = f"{spec.scale_target_ref.kind} {spec.scale_target_ref.name}"
    history, interval = format_duration(spec.history), format_duration(spec.interval)
    found = []
    if spec.mode is Mode.SCALE:
        found.append(
            f"mode Scale sets the replicas of {target} itself, and refuses to where a HorizontalPodAutoscaler or"
            " ScaledObject owns them; look at mode Shadow's decisions first"
        )
    if spec.history < WEEK_S:
        found.append(f"history {history} is too short for a weekly season; 168h shows one, 336h shows it twice")
    bins = int(spec.history / spec.interval)
    if bins > BINS_MAX:
        found.append(
            f"history {history} at interval {interval} is {bins:,} values per query, which makes a slow start; a longer"
            f" interval or a shorter history keeps it below {BINS_MAX:,}"
        )
    events = [event.to_event() for event in spec.schedule]
    if not outside_surges(events, round(_LOOKED_AT_S / _STEP_S), start_s=0.0, bin_s=_STEP_S).any():
        found.append(f"schedule has events that expect more at all times: {NEVER_OUTSIDE}")
    return tuple(found)
