"""What a backtest found: the outcome of each policy, as the table, the report and result.json show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from autoscaler.backtest.engine_speed import EngineSpeed
from autoscaler.backtest.percentiles import Percentiles
from autoscaler.backtest.setting import Setting, ShortIntArray
from forecasting.series import FloatArray

BandArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bins:
    """What happened under a plan bin by bin. Arrays have shape (n,), one entry per bin of the trace.

    Attributes:
        ready: replicas that serve during the bin.
        paid: replicas paid for during the bin: ready, loading and draining (fractions where a drain ends in the bin).
        late_rs: late work per bin, replica-seconds.
        served_rs: work served per bin, replica-seconds.
    """

    ready: ShortIntArray
    paid: FloatArray
    late_rs: FloatArray
    served_rs: FloatArray


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plan after the simulated cluster has run it: its sums, and what `cluster.bins_of` needs to run it again.

    Attributes:
        desired: replicas asked for at the start of each bin, shape (n,).
        replica_hours, late_fraction, late_bins, mean_utilisation: over the scored bins. Late fraction is late work
            over arrived work; utilisation is served work over ready replicas' time.
        counted: bins that no run of the plan on the setting's cluster gives, since they were counted over single
            requests, or with nodes kept warm; else None.
    """

    desired: ShortIntArray
    replica_hours: float
    late_fraction: float
    late_bins: int
    mean_utilisation: float
    counted: Bins | None = None


@dataclass(frozen=True, slots=True)
class RequestFigures:
    """What single requests met under a plan, over those that arrive in the scored part.

    Attributes:
        wait: from arrival to the start of service; infinite for a request that was never served.
        first_token: from arrival to the first token.
        unserved: requests that were never served.
        late_work_fraction: share of the work, not of the requests, that was late.
        fluid_late_work_fraction: the same as the fluid fidelity counts it under the same plan, in the bins on which
            policies planned: how far that model is off on this log.
    """

    wait: Percentiles
    first_token: Percentiles
    unserved: int
    late_work_fraction: float
    fluid_late_work_fraction: float


@dataclass(frozen=True, slots=True)
class RequestFidelity:
    """How the plans were replayed request by request.

    Attributes:
        requests: how many arrive in the scored part.
        speed: what one replica does.
    """

    requests: int
    speed: EngineSpeed


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One row of the table.

    Attributes:
        name: as the command line names it: 'headstart', 'hpa', 'hpa-best', 'keda', 'knative', 'static', 'optimum'.
        title: for people: 'HPA, best target in hindsight (71 %)'.
        hindsight: True where the policy used what nobody could have known at the time.
        outcome: what it led to.
        settings: the policy's own settings, for result.json.
        reasons: reason code per bin where the policy gives one, else empty.
        requests: what single requests met, in the fidelity per request.
    """

    name: str
    title: str
    hindsight: bool
    outcome: Outcome
    settings: Mapping[str, float | int | str]
    reasons: tuple[str, ...] = ()
    requests: RequestFigures | None = None


@dataclass(frozen=True, slots=True)
class Frontier:
    """Cost against lateness of one policy family over its targets, shape (k,) each, by rising cost."""

    name: str
    title: str
    targets: FloatArray
    replica_hours: FloatArray
    late_fraction: FloatArray


@dataclass(frozen=True, slots=True)
class ForecastBand:
    """The forecast that each decision used, for the bin in which a replica ordered then would serve.

    Entry t belongs to bin t and was made `load_bins` bins earlier; NaN before the first. In replicas, to the seven
    digits that a chart needs.
    """

    median: BandArray
    low: BandArray
    high: BandArray
    low_level: float
    high_level: float


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """Everything the table, the report and the JSON file show.

    Attributes:
        setting: what was replayed.
        policies: one result per policy; 'headstart' first when it was run, 'optimum' last.
        frontiers: cost against lateness of the reactive families, for the chart and for 'at equal lateness'.
        forecast: the band behind headstart's decisions; None where headstart was not run.
        gpu_hour_price: dollars per GPU-hour, None where not given.
        gpus_per_replica: GPUs that one replica holds.
        seconds: policy name -> wall time that its run took.
        requests: how single requests were replayed; None in the fluid fidelity. With it, an outcome's late fraction
            and late bins count requests, its costs include drains, and only `ready` is the fluid cluster's.
    """

    setting: Setting
    policies: tuple[PolicyResult, ...]
    frontiers: tuple[Frontier, ...]
    forecast: ForecastBand | None
    gpu_hour_price: float | None = None
    gpus_per_replica: int = 1
    seconds: Mapping[str, float] = field(default_factory=dict)
    requests: RequestFidelity | None = None
