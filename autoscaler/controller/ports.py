"""What the controller asks of the world. The live cluster and the simulated one both offer these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Event
from typing import Protocol

from autoscaler.actuators.outcome import Outcome
from autoscaler.actuators.restore import Held
from autoscaler.api.status import PredictiveAutoscalerStatus
from autoscaler.api.v1alpha1 import PredictiveAutoscaler
from autoscaler.errors import HeadstartError
from autoscaler.kube.facts import Target, TargetKey, Unavailable


class Clock(Protocol):
    """Time, real or virtual; seconds since the epoch."""

    def now_s(self) -> float:
        """The time."""
        ...

    def wait_until(self, at_s: float, stop: Event) -> None:
        """Return at `at_s`, or as soon as `stop` is set."""
        ...


class Cluster(Protocol):
    """What is read of the cluster: from memory, never by a request."""

    def objects(self) -> tuple[PredictiveAutoscaler, ...]:
        """All objects, those being deleted included, and those whose spec can't be read: with the last one that could.

        One whose spec never could be has UNREAD_SPEC.
        """
        ...

    def synced(self) -> bool:
        """Whether everything has been listed once."""
        ...

    def problems(self) -> Mapping[tuple[str, str], str]:
        """Objects that can't be read, by namespace and name, and why: one line that begins with kind and name."""
        ...

    def errors(self) -> Collection[HeadstartError]:
        """Why the cluster can't be followed now; empty where it can."""
        ...

    def target(self, key: TargetKey) -> Target | Unavailable:
        """A workload as it stands."""
        ...


class Actuator(Protocol):
    """What is written to the cluster. Nothing here raises: a failure is an outcome. Safe to share among threads."""

    def apply(self, autoscaler: PredictiveAutoscaler, target: Target, desired: int, *, now_s: float) -> Outcome:
        """Make the target have `desired` replicas, or at least as many, as the object's mode says."""
        ...

    def refusal(self, autoscaler: PredictiveAutoscaler, target: Target) -> Outcome | None:
        """Why `apply` would write nothing, as far as that can be told beforehand and without a request; else None."""
        ...

    def place(self, autoscaler: PredictiveAutoscaler, placeholders: int, *, held: bool, now_s: float) -> Outcome:
        """Have so many placeholders keep nodes warm, at least so many where `held`; the object asks for some."""
        ...

    def take_away(self, autoscaler: PredictiveAutoscaler, written: Collection[int]) -> Outcome:
        """Have no placeholders where nobody asks for them any more, unless others stand than were `written`."""
        ...

    def held(self) -> Collection[Held] | None:
        """The bounds that objects hold now, for whoever restores many; None where that can't be looked up."""
        ...

    def restore(self, autoscaler: PredictiveAutoscaler, held: Collection[Held] | None = None) -> Outcome:
        """Put back the bounds that the user had, and let the object go if it is being deleted.

        `held` is what `held()` gave; by default it is looked up for the object alone.
        """
        ...

    def sweep(self, autoscalers: Collection[PredictiveAutoscaler], spared: Collection[str]) -> Collection[Outcome]:
        """Put back bounds that no object claims any more; `spared` are names of objects that can't be read."""
        ...

    def keep(self, autoscalers: Collection[PredictiveAutoscaler]) -> None:
        """Forget what is remembered of all others."""
        ...

    def write_status(self, autoscaler: PredictiveAutoscaler, status: PredictiveAutoscalerStatus) -> bool:
        """Store the status; whether it was stored."""
        ...

    def tell(self, autoscaler: PredictiveAutoscaler, *, warning: bool, reason: str, message: str) -> None:
        """Tell of something on the object."""
        ...


class Elector(Protocol):
    """Who may write."""

    def is_leader(self) -> bool:
        """Whether this process may write now."""
        ...

    def hand_over(self, *, within_s: float) -> bool:
        """Cease to lead for good; whether another process took over in time."""
        ...

    def another_leads(self) -> bool:
        """Whether another process has taken over by now; asked anew each time."""
        ...
