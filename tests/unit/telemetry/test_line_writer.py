"""Lines to a reader that reads, stalls, goes away or has no room."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.telemetry.line_writer import LineWriter

Pipe = tuple[io.FileIO, io.FileIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reads, writes = (io.FileIO(descriptor, mode) for descriptor, mode in zip(os.pipe(), ("r", "w"), strict=True))
    with reads, writes:
        yield reads, writes


def test_lines_from_many_threads_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with path.open("wb") as out:
        writer = LineWriter(out.fileno())
        texts = [f"{name}{'x' * 3_000}" for name in range(8)]
        threads = [threading.Thread(target=lambda t=t: [writer.write(t) for _ in range(50)]) for t in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 400
    assert set(lines) == set(texts)


def test_a_reader_that_stalls_holds_up_nothing_and_what_is_dropped_is_counted(pipe: Pipe) -> None:
    _, writes = pipe
    dropped = []
    writer = LineWriter(writes.fileno(), lines_max=10, on_drop=lambda: dropped.append(1))
    for _ in range(50):
        writer.write("x" * 10_000)  # a pipe holds 64 KiB
    assert 50 - 10 - 8 <= len(dropped) <= 50 - 10
    writer.close(timeout_s=0.05)
    writer.write("after the end")
    assert len(dropped) <= 50 - 10 + 1


def test_a_reader_that_goes_away_is_met_with_silence(pipe: Pipe) -> None:
    reads, writes = pipe
    reads.close()
    dropped = []
    writer = LineWriter(writes.fileno(), on_drop=lambda: dropped.append(1))
    for _ in range(5):
        writer.write("line")
    writer.close()
    assert len(dropped) == 5


def test_after_half_a_line_the_next_one_begins_on_its_own(pipe: Pipe) -> None:
    reads, writes = pipe
    os.set_blocking(writes.fileno(), False)
    writes.write(b"y" * 40_960)  # ten of the pipe's sixteen pages
    dropped = threading.Event()
    writer = LineWriter(writes.fileno(), on_drop=dropped.set)
    writer.write("x" * 100_000)
    assert dropped.wait(10)
    text = b""
    while len(text) < 65_536:
        text += reads.read(200_000)
    writer.write("whole")
    writer.close()
    text += reads.read(200_000)
    assert text.split(b"\n")[1:] == [b"whole", b""]


def test_a_process_whose_reader_stalls_ends_without_a_fatal_error() -> None:
    program = (
        "import sys\nfrom autoscaler.telemetry.line_writer import LineWriter\n"
        "writer = LineWriter(sys.stdout.fileno())\n"
        "[writer.write('x' * 10_000) for _ in range(50)]\n"
        "writer.close(timeout_s=0.05)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stdout is not None
    with process.stderr, process.stdout:
        assert process.wait(30) == 0
        assert process.stderr.read() == b""
