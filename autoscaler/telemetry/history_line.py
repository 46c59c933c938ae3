"""A history that decisions stand on, as one line of JSON: with it a recording of decisions can be made again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from autoscaler.core.spec import Spec
from autoscaler.core.unseen import Unseen
from autoscaler.telemetry.decision_line import read_spec, spec_content
from autoscaler.telemetry.json_fields import Fields, number_content
from forecasting.series import FloatArray

OPENING = '{"kind":"History",'


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """The demand that a state was made from.

    Attributes:
        namespace, name: of the PredictiveAutoscaler.
        spec: what was planned with.
        start_s: start of the first bin, seconds since the epoch.
        demand_rps: unit -> work per second, shape (n,), NaN where it is missing; empty where none was to be had.
        backlog_rs, serving, unseen: of the state before, which it goes on with; those of a start where there was none.
    """

    namespace: str
    name: str
    spec: Spec
    start_s: float
    demand_rps: Mapping[str, FloatArray]
    backlog_rs: float = 0.0
    serving: int | None = None
    unseen: Unseen = field(default_factory=Unseen)


def to_history_line(record: HistoryRecord) -> str:
    """The record as one line of ASCII without its end."""
    content = {
        "kind": "History",
        "namespace": record.namespace,
        "name": record.name,
        "spec": spec_content(record.spec),
        "start_s": number_content(record.start_s),
        "demand_rps": {
            unit: [number_content(value) for value in values.tolist()] for unit, values in record.demand_rps.items()
        },
        "backlog_rs": number_content(record.backlog_rs),
        "serving": record.serving,
    }
    if record.unseen != Unseen():
        content["unseen"] = asdict(record.unseen)
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def from_history_line(text: str, *, where: str) -> HistoryRecord:
    """The record that `to_history_line` wrote. UsageError, which begins with `where`, for anything else."""
    line = Fields.parse(text, where)
    if (kind := line.text("kind")) != "History":
        line.refuse("kind", f"must be 'History', not {kind!r:.40}")
    spec = read_spec(line.fields("spec"))
    demand = line.fields("demand_rps")
    demand_rps = {unit: np.array(demand.numbers(unit)) for unit in demand.content}
    if demand_rps and (
        set(demand_rps) != set(spec.capacity_rps) or len({len(each) for each in demand_rps.values()}) > 1
    ):
        line.refuse("demand_rps", "must have the units of spec.capacity_rps, equally many bins each")
    start_s = line.number("start_s")
    if not math.isfinite(start_s):
        line.refuse("start_s", "must be a number of seconds")
    return HistoryRecord(
        namespace=line.text("namespace"),
        name=line.text("name"),
        spec=spec,
        start_s=start_s,
        demand_rps=demand_rps,
        backlog_rs=line.number("backlog_rs"),
        serving=line.integer_or_none("serving"),
        unseen=_unseen(line),
    )


def _unseen(line: Fields) -> Unseen:
    if "unseen" not in line.content:
        return Unseen()
    bins = line.fields("unseen")
    return Unseen(bins.integer("gap_bins"), bins.integer("hold_bins"))
