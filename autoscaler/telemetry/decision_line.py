"""A decision as one line of JSON: everything that it takes to make it again, and what was done about it.

Keys always come in the same order. Floats are written so that they read back to the last bit; NaN, which JSON lacks, is
null, and infinity is the text '+Inf' or '-Inf'. Where nobody knows how many replicas there were, the decision's numbers
of them are null; the observation has those that it was made by. Replicas that load are run-length coded, so that a line
stays below the 16 KiB at which container runtimes split lines, also with thousands of them.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from autoscaler.core.decision import Decision, Reason
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.plan_kernels import IntArray
from autoscaler.core.risk import LEVELS
from autoscaler.core.spec import Objective, Spec
from autoscaler.errors import UsageError
from autoscaler.telemetry.json_fields import Fields, flag_content, number_content
from autoscaler.telemetry.load_fields import (
    done_content,
    phases_content,
    placeholders_content,
    read_done,
    read_phases,
    read_placeholders,
    read_quantiles,
)
from autoscaler.telemetry.record import Record
from autoscaler.telemetry.schedule_fields import (
    names_content,
    read_names,
    read_schedule,
    schedule_content,
    usual_content,
)
from forecasting.clock import UTC_ZONE
from forecasting.lead_member import TARGETS

VERSION = 7
# How a decision begins, also behind the prefixes of `kubectl logs --prefix --timestamps`.
OPENING = '{"kind":"Decision",'

# 10, 30, 50, 70 and 90 % of loads: what the core plans with (90 %) and what people ask for (50 %) are kept exactly.
_LOAD_QUANTILES = 5
# A count beyond this was not written by Headstart, and would not fit into memory as replicas one by one.
_LOADING_MAX = 1_000_000

_DECISION_INTEGERS = ("desired", "current", "ready", "lead_bins")
_OBSERVED = ("current", "ready")
_DECISION_OTHERS = (*_DECISION_INTEGERS, "reasons", "scheduled", "cut_from")
_DECISION_FLOATS = tuple(field.name for field in fields(Decision) if field.name not in _DECISION_OTHERS)


def compact(loads: LoadLatency) -> LoadLatency:
    """At most five quantiles of `loads`, its 50 % and 90 % among them exactly; so few are kept as they are."""
    if len(loads.quantiles_s) <= _LOAD_QUANTILES:
        return loads
    levels = (np.arange(_LOAD_QUANTILES) + 0.5) / _LOAD_QUANTILES
    return LoadLatency(tuple(loads.quantile_s(float(level)) for level in levels), loads.label)


def rfc3339(time_s: float) -> str:
    """A time as '2026-11-25T03:12:00.250Z'."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_line(record: Record) -> str:
    """The record as one line of ASCII without its end."""
    content = {
        "kind": "Decision",
        "version": VERSION,
        "time": rfc3339(record.time_s),
        "time_s": number_content(record.time_s),
        "namespace": record.namespace,
        "name": record.name,
        "mode": record.mode,
        "decision": _decision_content(record.decision, assumed=record.assumed),
        "done": done_content(record.done),
        **phases_content(record.phases),
        **placeholders_content(record.placeholders, record.placed),
        "spec": spec_content(record.spec),
        "observation": _observation_content(record.observation),
        "outlook": _outlook_content(record.outlook),
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def from_line(text: str, *, where: str = "decision line") -> Record:
    """The record that `to_line` wrote. UsageError, which begins with `where`, for anything else."""
    line = Fields.parse(text, where)
    version = line.integer("version")
    if line.text("kind") != "Decision" or version != VERSION:
        line.refuse("version", f"is {version}, this Headstart reads {VERSION}: use the one that wrote the line")
    decided = line.fields("decision")
    assumed = decided.integer_or_none("current") is None
    observation = _observation(line.fields("observation"), assumed=assumed)
    placeholders, placed = read_placeholders(line)
    return Record(
        time_s=line.number("time_s"),
        namespace=line.text("namespace"),
        name=line.text("name"),
        mode=line.text("mode"),
        spec=read_spec(line.fields("spec")),
        observation=observation,
        outlook=_outlook(line.fields("outlook")),
        decision=_decision(decided, observation),
        done=read_done(line.fields("done")),
        phases=read_phases(line),
        placeholders=placeholders,
        placed=placed,
    )


def _decision_content(decision: Decision, *, assumed: bool) -> dict[str, Any]:
    content: dict[str, Any] = {name: int(getattr(decision, name)) for name in _DECISION_INTEGERS}
    if assumed:
        content |= dict.fromkeys(_OBSERVED)
    content["reasons"] = [str(reason) for reason in decision.reasons]
    content |= {name: number_content(getattr(decision, name)) for name in _DECISION_FLOATS}
    content |= names_content(decision.scheduled)
    return content if decision.cut_from is None else content | {"cut_from": int(decision.cut_from)}


def _decision(content: Fields, observation: Observation) -> Decision:
    known = {str(reason): reason for reason in Reason}
    codes = content.items("reasons")
    if unknown := [code for code in codes if code not in known]:
        content.refuse("reasons", f"has {unknown[0]!r:.40}, which this Headstart doesn't know")
    if content.integer_or_none("current") is None:
        current = observation.ready + len(observation.due_bins)
        content = replace(content, content=content.content | {"current": current, "ready": observation.ready})
    integers = {name: content.integer(name) for name in _DECISION_INTEGERS}
    floats = {name: content.number(name) for name in _DECISION_FLOATS}
    cut_from = content.integer("cut_from") if "cut_from" in content.content else None
    reasons = tuple(known[code] for code in codes)
    others = {"scheduled": read_names(content), "cut_from": cut_from}
    return Decision(reasons=reasons, **others, **integers, **floats)  # type: ignore[arg-type]


def spec_content(spec: Spec) -> dict[str, Any]:
    """A spec as JSON, without the forecast's members; five quantiles of the load latency."""
    loads = compact(spec.load_latency)
    return {
        "bin_s": number_content(spec.bin_s),
        "capacity_rps": {unit: number_content(capacity) for unit, capacity in spec.capacity_rps.items()},
        "max_wait_s": number_content(spec.objective.max_wait_s),
        "late_budget": number_content(spec.objective.late_budget),
        "load_s": [number_content(load_s) for load_s in loads.quantiles_s],
        "load_label": loads.label,
        "replicas_min": int(spec.replicas_min),
        "replicas_max": int(spec.replicas_max),
        **({} if spec.time_zone == UTC_ZONE else {"time_zone": spec.time_zone}),
    } | schedule_content(spec.schedule)


def read_spec(content: Fields) -> Spec:
    """The spec that `spec_content` wrote. UsageError for anything else."""
    loads_s = read_quantiles(content, "load_s")
    capacities = content.fields("capacity_rps")
    try:
        return Spec(
            bin_s=content.number("bin_s"),
            capacity_rps={unit: capacities.number(unit) for unit in capacities.content},
            objective=Objective(content.number("max_wait_s"), content.number("late_budget")),
            load_latency=LoadLatency(tuple(loads_s), content.text("load_label")),
            replicas_min=content.integer("replicas_min"),
            replicas_max=content.integer("replicas_max"),
            schedule=read_schedule(content),
            time_zone=content.text("time_zone") if "time_zone" in content.content else UTC_ZONE,
        )
    except UsageError as error:
        prefix = "" if str(error).startswith(content.where) else f"{content.where}: spec: "
        raise UsageError(f"{prefix}{error}") from error


def _observation_content(observation: Observation) -> dict[str, Any]:
    backlog_rs = observation.backlog_rs
    return {
        "now_s": number_content(observation.now_s),
        "demand_rps": {unit: number_content(rate) for unit, rate in observation.demand_rps.items()},
        "ready": int(observation.ready),
        "due_bins": [[int(due), len(list(same))] for due, same in itertools.groupby(observation.due_bins.tolist())],
        # A backlog that was not measured is null, so one that was measured as NaN can't be.
        "backlog_rs": None if backlog_rs is None else "NaN" if math.isnan(backlog_rs) else number_content(backlog_rs),
        "history_missing": bool(observation.history_missing),
        **flag_content("queue_unseen", observation.queue_unseen),
    }


def _observation(content: Fields, *, assumed: bool) -> Observation:
    demand = content.fields("demand_rps")
    backlog_rs: float | None = None
    if content.content.get("backlog_rs") == "NaN":
        backlog_rs = math.nan
    elif content.content.get("backlog_rs") is not None:
        backlog_rs = content.number("backlog_rs")
    return Observation(
        now_s=content.number("now_s"),
        demand_rps={unit: demand.number(unit) for unit in demand.content},
        ready=content.integer("ready"),
        due_bins=_due_bins(content),
        backlog_rs=backlog_rs,
        history_missing=content.boolean("history_missing"),
        queue_unseen=content.flag("queue_unseen"),
        fleet_assumed=assumed,
    )


def _due_bins(content: Fields) -> IntArray:
    """Replicas that load, from pairs of bins until they serve and how many do."""
    runs = content.items("due_bins")
    for run in runs:
        if not (isinstance(run, list) and len(run) == 2 and all(type(number) is int for number in run)):
            content.refuse("due_bins", f"must be pairs of bins and replicas, not {run!r:.40}")
    if not all(abs(due) < 2**62 and count >= 1 for due, count in runs) or sum(run[1] for run in runs) > _LOADING_MAX:
        content.refuse("due_bins", f"must count 1 to {_LOADING_MAX:,} replicas")
    return np.repeat([run[0] for run in runs], [run[1] for run in runs]).astype(np.int64)


def _outlook_content(outlook: Outlook) -> dict[str, Any]:
    return {
        "needs": [[number_content(need) for need in row] for row in outlook.needs.tolist()],
        "level": int(outlook.level),
        "late_price": number_content(outlook.late_price),
        "late_share": number_content(outlook.late_share),
        "lead_bins": int(outlook.lead_bins),
        "drain_s": number_content(outlook.drain_s),
        "demand_replicas": number_content(outlook.demand_replicas),
        "backlog_rs": number_content(outlook.backlog_rs),
        "missing": bool(outlook.missing),
        "cold_replicas": int(outlook.cold_replicas),
        "trusted": bool(outlook.trusted),
        "early": bool(outlook.early),
        **flag_content("queue_unseen", outlook.queue_unseen),
        **({"fallen_bins": int(outlook.fallen_bins)} if outlook.fallen_bins else {}),
        **flag_content("rises_weekly", outlook.rises_weekly),
        **names_content(outlook.scheduled),
        **usual_content(outlook.usual_median),
    }


def _outlook(content: Fields) -> Outlook:
    rows = content.items("needs")
    if len(rows) != TARGETS or any(not isinstance(row, list) or len(row) != len(LEVELS) for row in rows):
        content.refuse("needs", f"must be {TARGETS} lists of {len(LEVELS)} quantiles")
    level, lead_bins = content.integer("level"), content.integer("lead_bins")
    if not 0 <= level < len(LEVELS):
        content.refuse("level", f"must be 0 to {len(LEVELS) - 1}, not {level}")
    if not 0 <= lead_bins <= _LOADING_MAX:
        content.refuse("lead_bins", f"must be 0 to {_LOADING_MAX:,}, not {lead_bins}")
    if not content.number("drain_s") > 0:
        content.refuse("drain_s", "must be above 0")
    needs = [Fields({"needs": row}, content.where, content.path).numbers("needs") for row in rows]
    return Outlook(
        needs=np.array(needs),
        level=level,
        late_price=content.number("late_price"),
        late_share=content.number("late_share"),
        lead_bins=lead_bins,
        drain_s=content.number("drain_s"),
        demand_replicas=content.number("demand_replicas"),
        backlog_rs=content.number("backlog_rs"),
        missing=content.boolean("missing"),
        scheduled=read_names(content),
        usual_median=content.number("usual_median") if "usual_median" in content.content else math.nan,
        cold_replicas=content.integer("cold_replicas"),
        trusted=content.boolean("trusted"),
        early=content.boolean("early"),
        fallen_bins=content.integer("fallen_bins") if "fallen_bins" in content.content else 0,
        rises_weekly=content.flag("rises_weekly"),
        queue_unseen=content.flag("queue_unseen"),
    )
