"""The sentences on what a load spends its time on, and on the placeholders that keep nodes warm."""

from __future__ import annotations

from collections.abc import Mapping

from autoscaler.core.learned_load import Phase
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.node_head_start import Placeholders
from autoscaler.core.spec import Spec
from autoscaler.report.words import count, duration, moment
from autoscaler.telemetry.record import Done

_SPENT_ON = {
    Phase.NODE: "for a node where none had room",
    Phase.SCHEDULING: "until scheduled where one had",
    Phase.STARTING: "from there until the container ran",
    Phase.READYING: "from there until ready",
}


def told_phases(phases: Mapping[str, LoadLatency]) -> str:
    """' Of those seen, in the median: ...' with what is known, '' without any."""
    told = [
        f"{duration(round(phases[phase].quantile_s(0.5)))} {spent_on}"
        for phase, spent_on in _SPENT_ON.items()
        if phase in phases
    ]
    return f" Of those seen, in the median: {', '.join(told)}." if told else ""


def told_nodes(spec: Spec, placeholders: Placeholders, placed: Done, start_s: float) -> str:
    """How many placeholders are wanted, why, and what was done about it."""
    then = moment(start_s + placeholders.lead_bins * spec.bin_s)
    beyond = max(0, placeholders.replicas_ahead - placeholders.replicas)
    kept = ""
    if placeholders.desired > beyond:
        kept = f"; too little is known to take any of the {count(placeholders.before)} away"
    elif placeholders.desired < beyond:
        kept = f"; {count(placeholders.most)} {'is' if placeholders.most == 1 else 'are'} allowed"
    changed = placed.after is not None and placed.after != placed.before
    done = placed.message.rstrip(".") if changed else f"Nothing written: {placed.message or placed.reason}".rstrip(".")
    return (
        f"One node and one load ahead, at {then}, room for {count(placeholders.replicas_ahead)} may be needed,"
        f" {count(beyond)} beyond the replicas{kept}: {placeholders_text(placeholders.desired)}. {done}."
    )


def placeholders_text(placeholders: int) -> str:
    """'1 placeholder', '3 placeholders'."""
    return f"{count(placeholders)} placeholder{'' if placeholders == 1 else 's'}"
