"""Decisions made by hand from an outlook, as the live loop logs them. For the tests of telemetry and of explain."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from autoscaler.core.decide import choose
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.outlook import Outlook
from autoscaler.core.risk import LEVELS, MEDIAN
from autoscaler.core.spec import Objective, Spec
from autoscaler.telemetry.decision_line import compact
from autoscaler.telemetry.record import Done, Record

MORNING_S = 1_764_040_320.0  # 2025-11-25 03:12:00 UTC
PATCHED = Done("Patched", "FloorRaised", "minReplicas of HorizontalPodAutoscaler shop/chat", 5, 7)


def make_outlook(median: float = 4.2, *, peak: float = 1.1, **others: Any) -> Outlook:
    """Quantiles that spread around `median` replicas; the peak until then is so many times as high."""
    spread = np.linspace(0.0, 1.0, len(LEVELS) - MEDIAN) ** 2
    ahead = median * np.concatenate([[0.7], 1.0 + spread])
    values: dict[str, Any] = {
        "needs": np.array([ahead, peak * ahead]),
        "level": 14,
        "late_price": 0.0,
        "late_share": 0.0042,
        "lead_bins": 4,
        "drain_s": 60.0,
        "demand_replicas": 3.9,
        "backlog_rs": 0.0,
        "missing": False,
    }
    return Outlook(**(values | others))


def make_spec(**others: Any) -> Spec:
    values: dict[str, Any] = {
        "bin_s": 60.0,
        "capacity_rps": {"requests": 3.2},
        "objective": Objective(max_wait_s=10.0, late_budget=0.01),
        "load_latency": compact(LoadLatency.lognormal(120.0, 0.5)),
        "replicas_min": 1,
        "replicas_max": 20,
    }
    return Spec(**(values | others))


def make_record(
    *,
    now_s: float = MORNING_S,
    name: str = "chat",
    namespace: str = "shop",
    demand_rps: dict[str, float] | None = None,
    ready: int = 3,
    due: tuple[int, ...] = (1, 3),
    outlook: Outlook | None = None,
    spec: Spec | None = None,
    done: Done = PATCHED,
    mode: str = "Floor",
) -> Record:
    """The decision that the core makes of it, two seconds after the bin's start."""
    spec = spec or make_spec()
    outlook = outlook or make_outlook()
    if demand_rps is None:
        demand_rps = {"requests": math.nan if outlook.missing else outlook.demand_replicas * 3.2}
    observation = Observation(now_s, demand_rps, ready, np.array(due, dtype=np.int64))
    decision = choose(spec, outlook, observation)
    return Record(now_s + 2.0, namespace, name, mode, spec, observation, outlook, decision, done)


def without_history(record: Record) -> Record:
    """The same object before any demand was seen."""
    outlook = replace(
        record.outlook, needs=np.full_like(record.outlook.needs, np.nan), late_share=math.nan, missing=True
    )
    return make_record(outlook=outlook, spec=record.spec, now_s=record.observation.now_s, name=record.name, due=())
