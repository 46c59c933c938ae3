"""Which options of `headstart backtest` belong to which fidelity, and what they say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from autoscaler.cli.params import Capacity, capacity_by_unit
from autoscaler.cli.prometheus_options import Query, queries_by_unit
from autoscaler.errors import UsageError, shown

if TYPE_CHECKING:
    from autoscaler.backtest.engine_speed import EngineSpeed
    from autoscaler.backtest.setting import WarmNodes
    from autoscaler.core.load_latency import LoadLatency

DEFAULT_UNIT = "requests"


class Fidelity(StrEnum):
    """How a plan is replayed: as a flow of work per bin, or request by request."""

    FLUID = "fluid"
    REQUEST = "request"


def queries_for(fidelity: Fidelity, query: list[Query] | None, unit: str | None) -> dict[str, str]:
    """Unit -> PromQL of a backtest without a trace. Raises UsageError where there is none, or it is to be a log."""
    if not query:
        raise UsageError("TRACE: is missing; give a file, or --prometheus and --query")
    if fidelity is Fidelity.REQUEST:
        raise UsageError("--query: gives work per bin; --fidelity request needs a TRACE with one row per request")
    return queries_by_unit(query, unit or DEFAULT_UNIT)


def with_nodes(
    load: LoadLatency, node: LoadLatency | None, placeholders: int | None, fidelity: Fidelity
) -> tuple[LoadLatency, WarmNodes | None]:
    """The load latency with a node's time in it, and what keeps nodes warm; UsageError where that is asked in vain."""
    from autoscaler.backtest.setting import WarmNodes
    from autoscaler.core.node_head_start import node_and_load

    if placeholders is not None and node is None:
        raise UsageError("--placeholders: keeps nodes warm; say with --node-latency how long one takes")
    if placeholders is not None and fidelity is Fidelity.REQUEST:
        raise UsageError("--placeholders: are replayed in counts per bin only; leave out --fidelity request")
    if node is None:
        return load, None
    return node_and_load(node, load), None if placeholders is None else WarmNodes(node, load, placeholders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What the command line says of a replica's work: by `capacity` in the fluid fidelity, by speeds per request."""

    fidelity: Fidelity
    capacity: list[Capacity] | None
    unit: str | None
    drain_s: float | None
    concurrency: int | None
    prefill_speed: float | None
    decode_speed: float | None
    bin_s: float | None

    def resolve(self) -> tuple[dict[str, float], EngineSpeed | None]:
        """Unit -> work per second that a replica sustains, and its engine's speed; None in the fluid fidelity.

        Raises:
            UsageError: one line for an option that is missing, or that counts for nothing in this fidelity.
        """
        if self.fidelity is Fidelity.REQUEST:
            return self._per_request()
        speeds = {**self._speeds(), "--bin": self.bin_s}
        _refuse(speeds, "counts for nothing in counts per bin; leave it out, or give a log and --fidelity request")
        if not self.capacity:
            raise UsageError("--capacity: is missing; give the work per second that one replica sustains")
        capacity_rps = capacity_by_unit(self.capacity, self.unit or DEFAULT_UNIT)
        if self.unit is not None and self.unit not in capacity_rps:
            raise UsageError(
                f"--unit: {shown(self.unit)} is what a --capacity without a unit is for, and each has one; leave it "
                "out, or add a capacity for it"
            )
        return capacity_rps, None

    def _per_request(self) -> tuple[dict[str, float], EngineSpeed]:
        from autoscaler.backtest.engine_speed import EngineSpeed

        fluid = {"--capacity": self.capacity or None, "--unit": self.unit}
        _refuse(fluid, "follows from the speeds with --fidelity request; leave it out")
        _refuse({"--drain": self.drain_s}, "lasts as long as its requests with --fidelity request; leave it out")
        if self.concurrency is None or self.prefill_speed is None or self.decode_speed is None:
            missing = next(option for option, given in self._speeds().items() if given is None)
            raise UsageError(f"{missing}: is missing; --fidelity request needs {', '.join(self._speeds())}")
        speed = EngineSpeed(self.concurrency, self.prefill_speed, self.decode_speed)
        return {"slots": float(self.concurrency)}, speed

    def _speeds(self) -> dict[str, float | None]:
        return {
            "--concurrency": self.concurrency,
            "--prefill-speed": self.prefill_speed,
            "--decode-speed": self.decode_speed,
        }


def _refuse(given: Mapping[str, object], why: str) -> None:
    """Raise UsageError for the first option that was given."""
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option}: {why}")
