"""`headstart benchmark`: its files, going on, and one line for each mistake."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from autoscaler.cli import app as command_line


def run(*arguments: object) -> int:
    return command_line.run(["benchmark", *map(str, arguments)])


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("traces")
    for name, swing in (("calm", 2.0), ("swinging", 30.0)):
        counts = (40 + swing * np.sin(np.arange(96) / 7.6)).round().astype(int)
        rows = "".join(f"{1800 * at},{count}\n" for at, count in enumerate(counts))
        (folder / f"{name}.csv").write_text("timestamp,requests\n" + rows)
    return folder


def test_a_benchmark_leaves_its_table_page_and_text_and_goes_on_from_there(traces, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    options = ["--load-latency", "30m", "--load-latency", "30s", "--late-budget", "1%", "--mean-replicas", 5]
    assert run(traces, *options, "--jobs", 1, "--out", out) == 0
    printed = capsys.readouterr().out
    told = "Over 2 cases (2 traces, 2 loads, 1 late budget; loads shorter than a bin are one case)"
    assert told in " ".join(printed.split())
    table = pq.read_table(out / "results.parquet").to_pylist()
    assert {(row["trace"], tuple(row["loads"])) for row in table} == {
        ("calm", ("1800s", "30s")),
        ("swinging", ("1800s", "30s")),
    }
    assert (out / "benchmark.html").read_text().startswith("<!DOCTYPE html>")
    assert "| Headstart |" in (out / "benchmark.md").read_text()
    parts = {path: path.stat().st_mtime_ns for path in (out / "cases").iterdir()}
    assert len(parts) == 2
    assert run(traces, *options, "--jobs", 1, "--out", out) == 0
    assert "2 of 2 cases are finished already" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (out / "cases").iterdir()} == parts


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent"], "absent: no such file or folder"),
        (["traces", "--jobs", "0"], "--jobs: 0"),
        (["traces", "--backend", "cloud"], "--backend: there is no 'cloud'; choose from dask, loky"),
        (["traces", "--late-budget", "1"], "--late-budget: '1' is out of range"),
        (["traces", "--load-latency", "soon"], "--load-latency: 'soon' is not a duration"),
        (["traces", "--mean-replicas", "0"], "--mean-replicas: '0' is not above 0"),
        (["traces", "--load-latency", "30d"], "no case is left"),
        (["traces", "--out", "traces/calm.csv"], "--out: traces/calm.csv can't be made"),
        (["traces/calm.csv", "traces/calm.csv.gz"], "no such file or folder"),
    ],
)
def test_a_mistake_is_one_line(traces, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(traces.parent)
    (traces.parent / "traces").exists() or (traces.parent / "traces").symlink_to(traces)
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("headstart: ")
    assert told in line
