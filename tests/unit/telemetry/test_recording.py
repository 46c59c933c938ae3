"""The file of a recording: whole lines, by one process at a time."""

from __future__ import annotations

import os

import pytest

from autoscaler.errors import UsageError
from autoscaler.telemetry.recording import appending


def test_what_was_recorded_before_stays(tmp_path):
    path = tmp_path / "recording.jsonl"
    for line in (b"one\n", b"two\n"):
        with appending(path) as descriptor:
            os.write(descriptor, line)
    assert path.read_bytes() == b"one\ntwo\n"


def test_half_a_line_that_a_killed_process_left_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b'one\n{"kind":"Deci')
    with appending(path) as descriptor:
        os.write(descriptor, b"two\n")
    assert path.read_bytes() == b'one\n{"kind":"Deci\ntwo\n'


def test_two_at_once_are_refused(tmp_path):
    path = tmp_path / "recording.jsonl"
    with (
        appending(path),
        pytest.raises(UsageError, match=r"recording.jsonl: another headstart run records to it"),
        appending(path),
    ):
        pass
    with appending(path):
        pass


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    with pytest.raises(UsageError, match="is a directory"), appending(tmp_path):
        pass
    with pytest.raises(UsageError, match="does not exist; create it first"), appending(tmp_path / "none" / "r.jsonl"):
        pass
