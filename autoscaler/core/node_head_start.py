"""Nodes kept warm ahead of loads: how many placeholders, by the same forecast as the replicas.

Where a node must be provisioned first, a replica is ready one node and one load after its order. Placeholders order the
node alone, early: the very same decision, made with that longer lead, says how many replicas there must be room for
then; what it wants beyond the replicas' own decision are placeholders. Each becomes a replica's place within a second
of the replica's order, so that replicas are planned with the load on a ready node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from autoscaler.core.decide import decide
from autoscaler.core.decision import UNKNOWING, Decision
from autoscaler.core.load_latency import LoadLatency
from autoscaler.core.observation import Observation
from autoscaler.core.spec import Spec
from autoscaler.core.state import State


@dataclass(frozen=True, slots=True)
class Ahead:
    """The memory of decisions one node and one load ahead.

    Attributes:
        spec: as the replicas', but for the load latency: see `node_and_load`.
        state: the core's, for that spec.
        placeholders: wanted since the last decision, at least 0.
    """

    spec: Spec
    state: State
    placeholders: int = 0


@dataclass(frozen=True, slots=True)
class Placeholders:
    """How many placeholders are wanted from now on, and why.

    Attributes:
        desired: placeholders, each with room for one replica.
        before: those wanted before.
        most: as many as are allowed.
        replicas: replicas that stand or were decided, with the load on a ready node.
        replicas_ahead: replicas and placeholders wanted one node and one load ahead.
        lead_bins: bins until then.
        held: whether demand, the history before it or the queue is unknown: no placeholder that stands is then taken
            away, also where `before` knows of none, as after a restart.
    """

    desired: int
    before: int
    most: int
    replicas: int
    replicas_ahead: int
    lead_bins: int
    held: bool = False


def node_and_load(node: LoadLatency, load: LoadLatency) -> LoadLatency:
    """The time from ordering a node to the readiness of a replica on it; a slow node tells nothing of its load."""
    sums_s = np.add.outer(np.array(node.quantiles_s), np.array(load.quantiles_s)).ravel()
    return LoadLatency.empirical(sums_s.tolist(), label=f"{node.label} and {load.label}")


def decide_placeholders(
    ahead: Ahead, observation: Observation, decision: Decision, *, most: int
) -> tuple[Placeholders, Ahead]:
    """Decide how many placeholders to have from now on.

    Args:
        ahead: what the last decision returned, or with the state that a history gave.
        observation: the one that `decision` was made of.
        decision: how many replicas to have, planned with the load on a ready node.
        most: as many placeholders as are allowed, at least 0.

    Returns:
        The decision, between 0 and `most`, and the memory for the next one. While demand, or the history before it,
        is unknown no placeholder is taken away within `most`.
    """
    lead_bins = ahead.state.lead_bins
    # A placeholder is room for a replica that could serve one lead from now.
    rooms = np.full(ahead.placeholders, max(1, lead_bins), dtype=np.int64)
    with_rooms = replace(observation, due_bins=np.concatenate((observation.due_bins, rooms)))
    then, state = decide(ahead.spec, ahead.state, with_rooms)
    # What isn't wanted and stands all the same, as where an HPA holds it, has its node.
    replicas = max(decision.desired, decision.current)
    desired = max(0, then.desired - replicas)
    held = not UNKNOWING.isdisjoint(then.reasons)
    if held:
        desired = max(desired, ahead.placeholders)
    desired = min(desired, most)
    told = Placeholders(desired, ahead.placeholders, most, replicas, then.desired, then.lead_bins, held)
    return told, replace(ahead, state=state, placeholders=desired)
