"""A decision in one sentence, for the status and for Events: the numbers that decided it."""

from __future__ import annotations

import math

from autoscaler.core.decision import Decision, Reason
from autoscaler.core.spec import Spec

_UNKNOWN = {
    Reason.DEMAND_MISSING: "the last demand is unknown",
    Reason.HISTORY_MISSING: "the history couldn't be read",
    Reason.QUEUE_UNKNOWN: "nobody saw what was queued of late",
}


def decision_sentence(spec: Spec, decision: Decision) -> str:
    """Such as '7 replicas (5 ready, 1 loading): 6.4 needed within 10 min at risk level 97 %'."""
    loading = decision.current - decision.ready
    noun = "replica" if decision.desired == 1 else "replicas"
    head = f"{decision.desired} {noun} ({decision.ready} ready, {loading} loading): "
    lead = _duration(decision.lead_bins * spec.bin_s)
    if math.isnan(decision.high_at_lead):
        held = "so they are held" if decision.desired == decision.current else "so there is no forecast"
        return f"{head}no demand is known yet, {held}"
    why = _why(decision, lead)
    if Reason.BACKLOG in decision.reasons:
        why += f", and a backlog of {decision.backlog_at_lead_rs:,.0f} replica-seconds then"
    if decision.scheduled:
        why += f"; scheduled: {', '.join(decision.scheduled)}"
    if Reason.AT_MAX in decision.reasons:
        why += f"; maxReplicas is {spec.replicas_max}"
    elif Reason.AT_MIN in decision.reasons:
        why += f"; minReplicas is {spec.replicas_min}"
    if decision.cut_from is not None:
        why += f"; {decision.cut_from} are wanted, the GPU budget gives {decision.desired}"
    return head + why


def _why(decision: Decision, lead: str) -> str:
    """What moved or held the number, with what is needed in `lead`."""
    needed = _replicas(decision.high_at_lead)
    unknown = next((words for reason, words in _UNKNOWN.items() if reason in decision.reasons), "")
    if unknown and decision.desired >= decision.current:
        held = ", so none is released" if decision.desired == decision.current else ""
        return f"{unknown}{held}; {needed} forecast in {lead}"
    if Reason.KEPT_FOR_QUEUE in decision.reasons and decision.desired <= decision.current:
        return f"a queue keeps them busy, {decision.backlog_rs:,.0f} replica-seconds now; {needed} needed in {lead}"
    if Reason.KEPT_FOR_DEMAND in decision.reasons and decision.desired <= decision.current:
        return f"as many as the last demand needs stay; {needed} needed in {lead}"
    if decision.desired < decision.current:
        peak = max(decision.peak_until_lead, decision.high_at_lead)
        return f"at most {_replicas(peak)} needed within {lead} ({_percent(decision.risk_level)} quantile)"
    if Reason.KEPT in decision.reasons:
        return f"{_replicas(decision.peak_until_lead)} may be needed within {lead}, {needed} after it"
    return f"{needed} needed in {lead} ({_percent(decision.risk_level)} quantile)"


def _replicas(number: float) -> str:
    """One decimal, and two below a tenth: 0.0 would be no reason to order a replica."""
    return f"{number:.2f}" if 0.005 <= number < 0.1 else f"{number:.1f}"


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _duration(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
