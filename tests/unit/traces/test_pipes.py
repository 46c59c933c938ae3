"""A trace may come out of a pipe, which can be read once only: it is kept aside, whatever its format."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoscaler.errors import UsageError
from autoscaler.traces.read import read_trace

CSV = b"timestamp,requests\n0,1\n60,2\n"


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"timestamp": [0, 60], "requests": [1, 2]}), stream)
    return stream.getvalue()


def piped(folder: Path, content: bytes) -> Path:
    """A pipe into which `content` is written once."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    Thread(target=pipe.write_bytes, args=(content,), daemon=True).start()
    return pipe


@pytest.mark.parametrize("content", [CSV, gzip.compress(CSV), parquet()], ids=["CSV", "gzip", "Parquet"])
def test_a_pipe_is_read_as_a_file_is(tmp_path: Path, content: bytes) -> None:
    trace = read_trace(piped(tmp_path, content))
    assert (trace.name, trace.bin_s, trace.demand["requests"].tolist()) == ("pipe", 60.0, [1.0, 2.0])


def test_a_mistake_in_a_pipe_has_the_pipes_name_and_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^/.*/pipe: line 4, column 'requests': '-1' is negative"):
        read_trace(piped(tmp_path, CSV + b"120,-1\n"))


def test_a_dash_is_standard_input_and_nothing_is_left_behind(tmp_path: Path) -> None:
    program = "from autoscaler.traces.read import read_trace; trace = read_trace('-'); print(trace.name, len(trace))"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=CSV,
        capture_output=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ran.stdout == b"stdin 2\n"
    assert not list(tmp_path.iterdir())
