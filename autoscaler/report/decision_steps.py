"""The sentences that tell one decision, a method per step of it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from autoscaler.core.decide import choose
from autoscaler.core.decision import Reason
from autoscaler.core.plan_kernels import COUNT_MAX, choose_replicas, need_while_queued, needed_for_queue, whole
from autoscaler.report.told_nodes import told_nodes, told_phases
from autoscaler.report.told_schedule import told_schedule
from autoscaler.report.words import asked_share, count, duration, moment, share
from autoscaler.telemetry.record import Done, Record
from autoscaler.wording import replicas_text

# Groups of loading replicas that are told one by one.
_GROUPS_MAX = 4


class ToldSteps:
    """The sentences about one record."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._spec, self._outlook = record.spec, record.outlook
        self._observation, self._decision = record.observation, record.decision
        self._known = not math.isnan(record.decision.high_at_lead)
        self._start_s = record.observation.now_s
        self._serves_s = self._start_s + record.outlook.lead_bins * record.spec.bin_s

    def data(self) -> str:
        """How old the data are, and whether they are whole."""
        bin_ = f"The newest bin, {moment(self._start_s - self._spec.bin_s)} to {moment(self._start_s)},"
        late = f"the decision came {_seconds(self._record.time_s - self._start_s)} after its end"
        if not self._outlook.missing:
            return f"{bin_} is known; {late}."
        rates = {unit: self._observation.demand_rps.get(unit, math.nan) for unit in self._spec.capacity_rps}
        unusable = [unit for unit, rate in rates.items() if not (math.isfinite(rate) and rate >= 0)]
        if unusable:
            why = f"no usable value for {', '.join(unusable)}"
        else:
            said = ", ".join(f"{_rate(rate)} {unit}/s" for unit, rate in rates.items())
            why = f"{said} isn't believed after what was before"
        return f"{bin_} is unknown: {why}. Nothing is released on that; {late}."

    def demand(self) -> str:
        """What came, in its units and in replicas."""
        worth = _amount(self._outlook.demand_replicas)
        if self._outlook.missing:
            if not self._known:
                return "None has been seen yet."
            return f"{worth} replicas' worth is assumed in its place, from what came before."
        units = []
        for unit, capacity in self._spec.capacity_rps.items():
            rate = self._observation.demand_rps.get(unit, math.nan)
            units.append(f"{_rate(rate)} {unit}/s at {_rate(capacity)} per replica")
        most = "; the unit that needs most counts" if len(units) > 1 else ""
        return f"{', '.join(units)}: worth {worth} replicas{most}."

    def load(self) -> str:
        """The load latency that it plans with."""
        loads = self._spec.load_latency
        ahead = f"{_bins(self._outlook.lead_bins)} of {duration(self._spec.bin_s)}"
        half, most = (duration(loads.quantile_s(share)) for share in (0.5, 0.9))
        take = f"Loads take {most}" if half == most else f"Half of the loads take at most {half}, 90 % at most {most}"
        return (
            f"{take}: a replica ordered now counts as ready in {ahead}, "
            f"at {moment(self._serves_s)}.{told_phases(self._record.phases)}"
        )

    def supply(self) -> str:
        """What is ready, and what loads until when."""
        ready = self._observation.ready
        if self._record.assumed:
            return f"Nobody knows: it is decided as if all that are allowed served, {replicas_text(ready)}."
        serve = f"{replicas_text(ready)} serve{'s' if ready == 1 else ''}"
        due = Counter(self._observation.due_bins.tolist())
        if not due:
            return f"{serve}, none loads."
        bin_s = self._spec.bin_s
        groups = [f"{count(due[bins])} due at {moment(self._start_s + bins * bin_s)}" for bins in sorted(due)]
        if len(groups) > _GROUPS_MAX:
            groups = [groups[0], "...", groups[-1]]
        loading = due.total()
        return f"{serve}; {replicas_text(loading)} load{'s' if loading == 1 else ''}, {', '.join(groups)}."

    def forecast(self) -> dict[str, str]:
        """Forecast, risk and peak, by the step's name."""
        if not self._known:
            return {"forecast": "There is none before any demand is known."}
        decision = self._decision
        served = f"{moment(self._serves_s)} to {moment(self._serves_s + self._spec.bin_s)}"
        risk = share(1 - decision.risk_level)
        return {
            "forecast": (
                f"For {served}, when a replica ordered now serves: {_amount(decision.median_at_lead)} replicas in the "
                f"median, more than {_amount(decision.high_at_lead)} in {risk} of cases. Replicas are ordered at that "
                f"risk."
            ),
            "peak": (
                f"Until {moment(self._serves_s)}: more than {_amount(decision.peak_until_lead)} replicas in {risk} of "
                f"cases. Replicas are kept at that risk.{self._return()}"
            ),
            "risk": self._risk(),
        }

    def _return(self) -> str:
        """What fell may come back, and what rose in the last weeks may rise."""
        told = ""
        if self._outlook.fallen_bins:
            fell_s = self._start_s - self._outlook.fallen_bins * self._spec.bin_s
            told = f" Demand fell far below the usual at {moment(fell_s)}, and may come back as fast."
        if self._outlook.rises_weekly:
            told += " One and two weeks ago it came to more than twice the day before at this time, and may again."
        return told

    def _risk(self) -> str:
        late, budget = self._outlook.late_share, asked_share(self._spec.objective.late_budget)
        waits = f"waited longer than {duration(self._spec.objective.max_wait_s)}"
        if math.isnan(late):
            return f"The history is too short to choose the risk from it: a cautious one, for a budget of {budget}."
        priced, price = "", self._outlook.late_price
        if price > 0.0:
            priced = f" One replica more would save less than 1/{price:,.0f} of its work from being late."
        if late > self._spec.objective.late_budget:
            return (
                f"In the self-backtest {share(late)} of the work would have {waits} at this risk, above the {budget} "
                f"allowed: no risk would have avoided it, or it is too short to tell.{priced}"
            )
        within = f"{share(late)} of the work would have {waits}"
        return f"In the self-backtest {within} at this risk, of {budget} allowed.{priced}"

    def schedule(self) -> str:
        """The events that count now."""
        return told_schedule(self._spec, self._outlook, self._decision)

    def backlog(self) -> str:
        """What is queued, and what will be."""
        now_rs, ahead_rs = self._outlook.backlog_rs, self._decision.backlog_at_lead_rs
        source = "by estimate" if self._observation.backlog_rs is None else "as measured"
        if now_rs <= 0 and ahead_rs <= 0:
            return f"Nothing is queued now, {source}, and nothing will be at {moment(self._serves_s)}."
        ahead = f"{_work(ahead_rs).lower()} expected to be at {moment(self._serves_s)}"
        if ahead_rs <= 0:
            return f"{_work(now_rs)} queued now, {source}, and {ahead}."
        drain_s, need = self._outlook.drain_s, self._planned()
        limited = needed_for_queue(ahead_rs, drain_s, need) < ahead_rs / drain_s
        by = ", as far as twice the replicas that demand itself needs can" if limited else ""
        return f"{_work(now_rs)} queued now, {source}, and {ahead}: to be worked off within {duration(drain_s)}{by}."

    def need(self) -> str:
        """The replicas needed one load ahead."""
        if not self._known:
            return "Unknown without a forecast."
        need = self._decision.high_at_lead
        order = self._order()
        if order < whole(need):
            return "Nothing came and nothing is queued: so small a need is none."
        if self._outlook.cold_replicas > self._choose(current=0):
            reacting = replicas_text(order)
            return f"{_amount(need)}, but less than a day is known: {reacting}, as an HPA at 80 % would have."
        planned = self._planned()
        came = f" by the forecast; {_amount(planned)}, as came last, since work queues" if planned > need else ""
        extra = needed_for_queue(self._decision.backlog_at_lead_rs, self._outlook.drain_s, planned)
        queue = f"{',' if came else ''} and {_amount(extra)} to work the queue off" if extra >= 0.05 else ""
        return f"{_amount(need)}{came}{queue}, so {replicas_text(order)} at {moment(self._serves_s)}."

    def choice(self) -> str:
        """Whether to order, to keep or to release, before the bounds."""
        current, wanted = self._decision.current, self._wanted()
        order = self._order() if self._known else wanted
        if wanted > current:
            there = f"the {count(current)} that {'serves or loads' if current == 1 else 'serve or load'}"
            return f"{count(wanted - current)} more than {there if current else 'none'}: ordered now."
        if not self._known:
            return f"Without a forecast {_all(current)}."
        if order == current:
            return "As many are there as are needed: nothing is ordered or released."
        return f"{count(current - order)} fewer would do{self._kept(order, wanted)}."

    def _kept(self, order: int, wanted: int) -> str:
        """Why not all goes that won't be needed one load ahead, and what goes."""
        current = self._decision.current
        kept_for = self._kept_for(wanted)
        if wanted < current:
            covered = f"a peak may come before: {count(wanted)} cover it"
            kept = "" if wanted == order else f", but {kept_for or covered}"
            return f"{kept}. {replicas_text(current - wanted)} can go now"
        if self._outlook.missing:
            return f", but the newest demand is unknown: {_all(current)}"
        if self._outlook.queue_unseen:
            return f", but nobody saw what was queued within the last load: {_all(current)}"
        if kept_for:
            return f" then, but {kept_for}: {_all(current)}"
        late = "one that is released now would be back too late"
        return f" then, but a peak may come before, and {late}: {_all(current)}"

    def _kept_for(self, wanted: int) -> str:
        """What of now keeps so many; '' where it is what may come."""
        if Reason.KEPT_FOR_QUEUE in self._decision.reasons:
            return f"a queue keeps {count(wanted)} busy"
        return f"what came last needs {count(wanted)}" if Reason.KEPT_FOR_DEMAND in self._decision.reasons else ""

    def bounds(self) -> str:
        """What minimum and maximum made of it, and the GPU budget."""
        decision = self._decision
        if decision.cut_from is None:
            return self._within()
        return f"{self._within()} Of {count(decision.cut_from)} the GPU budget gives {count(decision.desired)}."

    def _within(self) -> str:
        least, most, wanted = self._spec.replicas_min, self._spec.replicas_max, self._wanted()
        if wanted > most:
            return f"{count(wanted)} are more than the maximum: {replicas_text(most)}. Work may be late."
        if wanted < self._decision.desired and len(self._decision.scheduled) > len(self._outlook.scheduled):
            asking = ", ".join(self._decision.scheduled[len(self._outlook.scheduled) :])
            given = replicas_text(self._decision.desired)
            return f"{count(wanted)} {'is' if wanted == 1 else 'are'} fewer than {asking} asks for: {given}."
        if wanted < least:
            return f"{count(wanted)} {'is' if wanted == 1 else 'are'} fewer than the minimum: {replicas_text(least)}."
        return f"{replicas_text(wanted)} {'is' if wanted == 1 else 'are'} within {count(least)} and {count(most)}."

    def written(self) -> str:
        """What was done about it, or why nothing was; and what was written of it later."""
        done = self._record.done
        if done.action == "Patched":
            first = _written(done)
        else:
            action = "" if done.action == "None" else f"{done.action}, "
            first = f"Nothing; {action}{done.reason}{_message(done)}."
        return " ".join([first, *self._later(placeholders=False)])

    def nodes(self) -> str:
        """How many placeholders keep nodes warm; '' where none are asked for."""
        placeholders, placed = self._record.placeholders, self._record.placed
        if placeholders is None or placed is None:
            return ""
        first = told_nodes(self._spec, placeholders, placed, self._start_s)
        return " ".join([first, *self._later(placeholders=True)])

    def _later(self, *, placeholders: bool) -> list[str]:
        """What was written in later ticks, a sentence each."""
        later = [write for write in self._record.later if write.placeholders is placeholders]
        return [f"At {moment(write.time_s)}: {_written(write.done)}" for write in later]

    def _planned(self) -> float:
        """Demand that is planned for one load ahead, in replicas."""
        outlook = self._outlook
        return float(need_while_queued(self._decision.high_at_lead, outlook.demand_replicas, outlook.backlog_rs))

    def _order(self) -> int:
        """Replicas needed one load ahead, by the core's own arithmetic: what it would order with none there."""
        return max(self._choose(current=0), self._outlook.cold_replicas)

    def _choose(self, *, current: int) -> int:
        outlook, decision = self._outlook, self._decision
        return int(
            choose_replicas(
                decision.high_at_lead,
                decision.peak_until_lead,
                decision.risk_level,
                outlook.demand_replicas,
                outlook.backlog_rs,
                decision.backlog_at_lead_rs,
                outlook.drain_s,
                0,
                current,
                outlook.missing,
            )
        )

    def _wanted(self) -> int:
        """Replicas before the bounds."""
        free = replace(self._spec, replicas_min=0, replicas_max=int(COUNT_MAX), schedule=())
        return choose(free, self._outlook, self._observation).desired


def _all(current: int) -> str:
    return {0: "none is ordered", 1: "it stays"}.get(current, f"all {count(current)} stay")


def _amount(replicas: float) -> str:
    """Replicas in fractions, as they are needed: '4.2', '0.03'."""
    return f"{replicas:,.1f}" if replicas >= 0.95 or replicas == 0 else f"{replicas:.2g}"


def _bins(bins: int) -> str:
    return f"{bins} bin{'' if bins == 1 else 's'}"


def _message(done: Done) -> str:
    return f": {done.message.rstrip('.')}" if done.message else ""


def _written(done: Done) -> str:
    """'5 -> 7, Scaled: ...'."""
    return f"{_or_unset(done.before)} -> {_or_unset(done.after)}, {done.reason}{_message(done)}."


def _or_unset(value: int | None) -> str:
    return "unset" if value is None else count(value)


def _rate(per_s: float) -> str:
    """Work per second with about four digits: '12.48', '30,000'."""
    return f"{per_s:,.0f}" if abs(per_s) >= 1_000 else f"{per_s:.4g}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if abs(seconds) < 100 else duration(seconds)


def _work(backlog_rs: float) -> str:
    """A backlog with its verb: '900 replica-seconds are'."""
    if backlog_rs <= 0:
        return "Nothing is"
    return "1 replica-second is" if round(backlog_rs) == 1 else f"{count(backlog_rs)} replica-seconds are"
