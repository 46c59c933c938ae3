"""Jobs of a benchmark in parallel, on this machine or on a cluster of Dask's or Ray's, through joblib."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from autoscaler.backtest.benchmark.cases import Job
from autoscaler.backtest.benchmark.run_job import Finished, run_job
from autoscaler.errors import HeadstartError, UsageError

if TYPE_CHECKING:
    from joblib import Parallel

# Where results can't be had one by one (multiprocessing, and so Ray), so many jobs per worker go out at once.
_JOBS_PER_WAVE = 4

# Backends of packages that aren't among ours, and the module that they need; our extras have the same names.
_CLUSTERS = {"dask": "distributed", "ray": "ray"}

# A scheduler that is there answers within this.
_ANSWER_S = 10.0

Errors = tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class _Connection:
    """A cluster that joblib knows.

    Attributes:
        close: lets it go.
        losses: what is raised where it goes away, or its workers can't run our code.
    """

    close: Callable[[], object]
    losses: Errors


def check_backend(backend: str) -> None:
    """Raise UsageError where joblib has no such backend, or its package isn't installed."""
    from joblib.parallel import BACKENDS

    known = sorted({*BACKENDS, *_CLUSTERS})
    if backend not in known:
        raise UsageError(f"--backend: there is no {backend!r}; choose from {', '.join(known)}")
    module = _CLUSTERS.get(backend, "joblib")
    if find_spec(module) is None:
        raise UsageError(
            f"--backend {backend}: {module} isn't installed; run pip install '.[{backend}]' in Headstart's checkout"
        )


@contextmanager
def on_backend(backend: str, workers: int) -> Iterator[None]:
    """Connect joblib to where `run_jobs` is to run: see check_backend.

    Args:
        backend: joblib's name for where: 'loky' (processes of this machine), 'dask', 'ray', 'multiprocessing',
            'threading'. Dask's scheduler is the one that DASK_SCHEDULER_ADDRESS names, Ray's cluster that of
            RAY_ADDRESS; else one is started on this machine.
        workers: how many at once; -1 is one per core, or all that a cluster has.

    Raises:
        HeadstartError: the cluster can't be reached, or is lost on the way.
    """
    import joblib

    connection = _connect(backend, workers)
    try:
        with joblib.parallel_config(backend=backend, n_jobs=workers):
            yield
    except connection.losses as error:
        raise HeadstartError(
            f"--backend {backend}: the workers were lost ({_told(error)}); give them enough memory and this version of "
            "Headstart. Finished cases are kept: the same command goes on from there"
        ) from error
    finally:
        connection.close()


def run_jobs(jobs: Sequence[Job], *, workers: int) -> Iterator[list[Finished]]:
    """Run jobs inside `on_backend`, the largest first, and yield each one's results as soon as they are there.

    Processes, since deciding bin by bin is Python: threads would wait for each other.

    Args:
        jobs: what is to be run.
        workers: see on_backend.
    """
    import joblib

    ordered = sorted(jobs, key=lambda job: job.size, reverse=True)
    parallel, at_once = _parallel(len(ordered), workers)
    for first in range(0, len(ordered), at_once):
        yield from parallel(joblib.delayed(run_job)(job) for job in ordered[first : first + at_once])


def _parallel(jobs: int, workers: int) -> tuple[Parallel, int]:
    """What runs jobs on the chosen backend, and how many it is to be given at once."""
    import joblib

    # One job at a time to each worker, and copies of its arrays: numba compiles anew for arrays that are read-only.
    options = {"batch_size": 1, "max_nbytes": None}
    try:
        return joblib.Parallel(return_as="generator_unordered", **options), max(1, jobs)
    except ValueError:
        return joblib.Parallel(**options), _JOBS_PER_WAVE * joblib.effective_n_jobs(workers)


def _connect(backend: str, workers: int) -> _Connection:
    """Make a cluster's backend known to joblib."""
    if backend == "dask":
        return _connect_dask(workers)
    if backend == "ray":
        return _connect_ray()
    return _Connection(close=lambda: None, losses=(BrokenExecutor,))


def _connect_dask(workers: int) -> _Connection:
    import dask
    from distributed import Client, KilledWorker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    address = dask.config.get("scheduler-address", None)
    # It logs the traceback of a lost connection, which ends in one line of ours.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        if address:
            client = Client(address)
        else:
            # A dashboard would want a port that is often taken.
            client = Client(
                n_workers=workers if workers > 0 else None,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
    except OSError as error:
        told = f"no scheduler answers at {address}" if address else "no scheduler can be started here"
        raise HeadstartError(f"--backend dask: {told} ({_told(error)}); see DASK_SCHEDULER_ADDRESS") from error
    return _Connection(client.close, (CommClosedError, FutureCancelledError, KilledWorker, ModuleNotFoundError))


def _connect_ray() -> _Connection:
    import ray
    from ray.exceptions import RayActorError, RaySystemError, WorkerCrashedError
    from ray.util.joblib import register_ray

    register_ray()
    try:
        _check_answer(os.environ.get("RAY_ADDRESS", ""))
        # Joblib asks how many CPUs there are before Ray would have started itself.
        ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ray.exceptions.RayError) as error:
        raise HeadstartError(f"--backend ray: no cluster answers ({_told(error)}); see RAY_ADDRESS") from error
    return _Connection(ray.shutdown, (RayActorError, RaySystemError, WorkerCrashedError, ModuleNotFoundError))


def _check_answer(address: str) -> None:
    """Raise OSError where nobody answers at 'HOST:PORT' or 'ray://HOST:PORT': Ray itself would try for ten minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


def _told(error: BaseException) -> str:
    """The first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
