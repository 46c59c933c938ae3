"""A workload's part in a GPU budget, as its object states it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from autoscaler.api.model import Model

BUDGET_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
BudgetName = Annotated[str, StringConstraints(pattern=BUDGET_NAME_PATTERN, max_length=63)]


class GpuBudget(Model):
    """The GPU budget that a workload shares with others, and its place in it."""

    name: BudgetName = Field(
        description="Which budget: its GPUs are stated once, by the controller's --gpu-budget NAME=GPUS. With a name"
        " that the controller doesn't have, nothing is ordered."
    )
    gpus_per_replica: int = Field(default=1, ge=1, le=1_024, description="GPUs that each replica holds.")
    priority: int = Field(
        default=0,
        ge=-1_000_000_000,
        le=1_000_000_000,
        description="While not every wish fits, the higher number comes first, after the minReplicas of all. Equal ones"
        " share so that least work is late: one that is late anyway may be left with its minReplicas.",
    )
