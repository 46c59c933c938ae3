"""Jobs of a benchmark in parallel, on this machine or on a cluster of Dask's or Ray's, through joblib."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoscaler.backtest.benchmark.cases import Job
from autoscaler.backtest.benchmark.run_job import Finished, run_job
from autoscaler.errors import UsageError

if TYPE_CHECKING:
    from joblib import Parallel

# Where results can't be had one by one (multiprocessing, and so Ray), so many jobs per worker go out at once.
_JOBS_PER_WAVE = 4


def run_jobs(jobs: Sequence[Job], *, workers: int, backend: str) -> Iterator[list[Finished]]:
    """Run jobs, the largest first, and yield each one's results as soon as they are there.

    Processes, since deciding bin by bin is Python: threads would wait for each other.

    Args:
        jobs: what is to be run.
        workers: how many at once; -1 is one per core, or all that a cluster has.
        backend: joblib's name for where: 'loky' (processes of this machine), 'dask', 'ray', 'multiprocessing',
            'threading'.

    Raises:
        UsageError: there is no such backend, or its package isn't installed.
    """
    import joblib

    ordered = sorted(jobs, key=lambda job: job.size, reverse=True)
    with _on(backend, workers):
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


@contextmanager
def _on(backend: str, workers: int) -> Iterator[None]:
    """Joblib's backend, registered and connected."""
    import joblib

    close = _connect(backend)
    try:
        with joblib.parallel_config(backend=backend, n_jobs=workers):
            yield
    finally:
        close()


def _connect(backend: str) -> Callable[[], object]:
    """Make a cluster's backend known to joblib; return what lets the cluster go."""
    try:
        if backend == "dask":
            from distributed import Client

            # The scheduler that DASK_SCHEDULER_ADDRESS names, else one of its own on this machine.
            client = Client(set_as_default=True)
            close: Callable[[], object] = client.close
            return close
        if backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
    except ImportError as error:
        package = "dask[distributed]" if backend == "dask" else "ray[default]"
        raise UsageError(f"--backend {backend}: is not installed ({error}); run pip install '{package}'") from error
    return lambda: None


def check_backend(backend: str) -> None:
    """Raise UsageError where joblib has no such backend."""
    from joblib.parallel import BACKENDS

    known = sorted({*BACKENDS, "dask", "ray"})
    if backend not in known:
        raise UsageError(f"--backend: there is no {backend!r}; choose from {', '.join(known)}")
