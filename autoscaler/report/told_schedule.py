"""What known events had to do with a decision, in a sentence for each."""

from __future__ import annotations

from autoscaler.core.decision import Decision
from autoscaler.core.event import Event
from autoscaler.core.outlook import Outlook
from autoscaler.core.schedule import Decisions, coming
from autoscaler.core.spec import Spec
from autoscaler.report.words import count, moment


def told_schedule(spec: Spec, outlook: Outlook, decision: Decision) -> str:
    """The events that run, or start before a replica ordered now has served its first bin."""
    decisions = Decisions(decision.now_s, spec.bin_s, outlook.lead_bins)
    events = coming(spec.schedule, decisions)
    until_s = decision.now_s + decisions.reach_s
    if not events:
        return f"No event before {moment(until_s)}."
    return " ".join(_told(event, outlook, decision, until_s) for event in events)


def _told(event: Event, outlook: Outlook, decision: Decision, until_s: float) -> str:
    start_s, end_s = next(event.windows(decision.now_s, until_s))
    dated = end_s - start_s >= 86_400.0
    when = f"{event.name}, {moment(start_s, dated=dated)} to {moment(end_s, dated=dated)},"
    if event.at_least:
        more = "" if event.name in decision.scheduled else ", and as many are wanted without it"
        return f"{when} asks for {count(event.at_least)} ready{more}."
    return f"{when} expects {event.expect:g} times what would come without it: {_for_it(event, outlook)}."


def _for_it(event: Event, outlook: Outlook) -> str:
    if event.name in outlook.scheduled:
        return "more is ordered or kept for it"
    if outlook.scheduled:
        return f"the more that {' and '.join(outlook.scheduled)} expects counts"
    # The usual forecast may want as much, or nothing may be known of a time without the event.
    return "nothing beyond the usual forecast is ordered or kept for it"
