"""`headstart benchmark --backend`: the same results on a cluster, and one line where there is none."""

from __future__ import annotations

import logging
import secrets
import signal
import sys
from tempfile import TemporaryDirectory

import dask
import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from autoscaler.cli import app as command_line


def run(traces, out, *arguments: object) -> int:
    asked = ["--load-latency", "2h", "--load-latency", "30m", "--late-budget", "1%", "--mean-replicas", 5, "--out", out]
    return command_line.run(["benchmark", *map(str, [traces, *asked, *arguments])])


def rows_of(out) -> list[dict]:
    """All rows but for the processor time that they took."""
    return [{**row, "seconds": None} for row in pq.read_table(out / "results.parquet").to_pylist()]


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "swinging.csv"
    counts = (40 + 30 * np.sin(np.arange(96) / 7.6)).round().astype(int)
    path.write_text("timestamp,requests\n" + "".join(f"{1800 * at},{count}\n" for at, count in enumerate(counts)))
    return path


@pytest.fixture
def scheduler():
    """The address of a scheduler with one worker, a process of its own, as DASK_SCHEDULER_ADDRESS would name it."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, scheduler_port=0, silence_logs=logging.ERROR
        ) as cluster,
        dask.config.set({"scheduler-address": cluster.scheduler_address}),
    ):
        yield cluster.scheduler_address


def test_dask_gives_what_this_process_gives_and_goes_on_where_it_was_stopped(trace, tmp_path, scheduler, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    assert run(trace, here, "--jobs", 1) == 0
    assert run(trace, there, "--backend", "dask") == 0
    assert rows_of(there) == rows_of(here)
    kept, lost = sorted((there / "cases").iterdir())
    lost.unlink()
    written = kept.stat().st_mtime_ns
    capsys.readouterr()
    assert run(trace, there, "--backend", "dask") == 0
    assert "1 of 2 cases are finished already" in capsys.readouterr().err
    assert kept.stat().st_mtime_ns == written
    assert rows_of(there) == rows_of(here)


def test_a_scheduler_that_does_not_answer_is_one_line(trace, tmp_path, capsys):
    unreachable = {"scheduler-address": "tcp://127.0.0.1:1", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(unreachable):
        assert run(trace, tmp_path, "--backend", "dask") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("headstart: --backend dask: no scheduler answers at tcp://127.0.0.1:1 (")


@pytest.mark.parametrize(("backend", "module"), [("dask", "distributed"), ("ray", "ray")])
def test_a_package_that_is_not_there_is_named_before_any_work(tmp_path, monkeypatch, capsys, backend, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert run(tmp_path, tmp_path / "out", "--backend", backend) == 2
    assert capsys.readouterr().err == (
        f"headstart: --backend {backend}: {module} isn't installed; run pip install '.[{backend}]' in Headstart's"
        " checkout\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def ray_of_its_own(monkeypatch):
    """Ray starts a cluster here, and leaves no files, no token in the home folder and no handler of SIGTERM behind."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
    # Its own 30 s didn't do on two cores with four processes beside it.
    monkeypatch.setenv("RAY_gcs_server_port_wait_time_s", "180")
    handler = signal.getsignal(signal.SIGTERM)
    # Not below tmp_path: the path of a socket has 107 characters at most.
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("ray_of_its_own")
def test_ray_gives_what_this_process_gives(trace, tmp_path):
    assert run(trace, tmp_path / "here", "--jobs", 1) == 0
    assert run(trace, tmp_path / "there", "--backend", "ray") == 0
    assert rows_of(tmp_path / "there") == rows_of(tmp_path / "here")


def test_a_ray_cluster_that_does_not_answer_is_one_line(trace, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert run(trace, tmp_path, "--backend", "ray") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "headstart: --backend ray: no cluster answers ([Errno 111] Connection refused); see RAY_ADDRESS"
