"""Each bad input gets one line that names the file, the line and the column, and says what to do."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autoscaler.cli.validate_objects import is_yaml, object_facts
from autoscaler.errors import UsageError
from autoscaler.traces.read import read_trace


def problem_of(path: Path, units: tuple[str, ...] = ("requests",)) -> str:
    """What `read_trace` says about `path`: one line that starts with the file's name."""
    with pytest.raises(UsageError) as caught:
        read_trace(path, units)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def csv_of(*rows: str) -> bytes:
    return "\n".join(["timestamp,requests", *rows, ""]).encode()


GOOD = ("0,1", "60,2", "120,3")
TIMES = "column 'timestamp':"
COUNTS = "column 'requests':"

BAD_CSV: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["is empty"]),
    "blank": (b" \n\n", ["is empty"]),
    "header only": (csv_of(), ["has 0 row(s)", "at least 2"]),
    "one row": (csv_of("0,1"), ["has 1 row(s)", "at least 2"]),
    "header without newline": (b"timestamp,requests", ["has 0 row(s)"]),
    "other names": (
        b"time,count\n0,1\n",
        ["rename the column of times to 'timestamp', and that of counts to 'requests', or name it with --unit"],
    ),
    "another name of counts": (
        b"timestamp,count\n0,1\n",
        ["rename the column of counts to 'requests', or name it with"],
    ),
    "another name of times": (b"time,requests\n0,1\n", ["requests; rename the column of times to 'timestamp'"]),
    "date of a spreadsheet": (
        csv_of("12/1/2026 13:05,1"),
        ["line 2", TIMES, "'12/1/2026 13:05' is not a time (day and month could be swapped)", "as yyyy-mm-dd hh:mm:ss"],
    ),
    "german": (
        b"timestamp;requests\n01.12.2026 13:05;5,5\n",
        ["separate columns by ',' instead of ';', and decimals by '.'"],
    ),
    "decimal comma": (csv_of('0,"5,5"'), ["line 2", COUNTS, "write decimals with '.', and nothing between thousands"]),
    "german date": (csv_of("01.12.2026 13:05,1"), [TIMES, "swapped", "allowed are ISO-8601 dates"]),
    "binary": (b"\x00\x01\x02\xff" * 20, ["is binary data"]),
    "image": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ["is binary data"]),
    "html": (b"<!DOCTYPE html>\n<html>", ["is HTML"]),
    "json": (b'[{"timestamp": 0}]', ["is JSON", "headstart trace import"]),
    "json lines": (b'{"timestamp": 0}\n{"timestamp": 1}\n', ["is JSON"]),
    "spreadsheet": (b"PK\x03\x04" + b"\x00" * 50, ["spreadsheet", "export it as CSV"]),
    "utf-16": ("timestamp,requests\n0,1\n".encode("utf-16"), ["UTF-16", "UTF-8"]),
    "no time column": (b"time,requests\n0,1\n", ["line 1", "no column 'timestamp'", "time, requests"]),
    "no header": (b"0,1\n60,2\n", ["line 1", "no column 'timestamp'", "there are: 0, 1; the first line must name the"]),
    "dates for a header": (b"2025-03-01T00:00:00Z,1\n", ["the first line must name the columns"]),
    "remark for a header": (b"# of grafana\ntimestamp,requests\n0,1\n", ["the first line must name the columns"]),
    "capitals": (b"Timestamp,requests\n0,1\n", ["there are: Timestamp, requests; write 'Timestamp' as 'timestamp'"]),
    "unknown unit": (b"timestamp,prompts,vms\n0,1,2\n", ["line 1", "'requests'", "there are: timestamp, prompts, vms"]),
    "line break in a name": (b'timestamp,"re\nquests"\n0,1\n', ["there are: timestamp, re\\nquests"]),
    "latin-1": (
        "timestamp,requ\u00eates\n0,1\n".encode("latin-1"),
        ["names no column 'requests'", "save the file as UTF-8"],
    ),
    "semicolons": (b"timestamp;requests\n0;1\n", ["line 1", "separate columns by ','", "';'"]),
    "same name twice": (b"timestamp,requests,requests\n0,1,2\n", ["line 1", "'requests' 2 times"]),
    "two time columns": (b"timestamp,timestamp,requests\n0,1,2\n", ["line 1", "'timestamp' 2 times"]),
    "too few cells": (csv_of(*GOOD, "180"), ["line 5", "has 1 cell,", "2 columns"]),
    "too many cells": (csv_of("0,1", "60,1,000"), ["line 3", "has 3 cells", "2 columns"]),
    "open quote": (csv_of(*GOOD, '180,"4'), ["line 5", "quotes"]),
    "text": (csv_of(*GOOD, "180,many"), ["line 5", COUNTS, "'many' is not a number", "nothing where it is missing"]),
    "dash for missing": (csv_of("0,1", "60,-"), ["line 3", COUNTS, "'-' is not a number"]),
    "thousands": (csv_of("0,1", '60,"1,000"'), ["line 3", COUNTS, "'1,000' is not a number"]),
    "underscore": (csv_of("0,1", "60,1_000"), ["line 3", COUNTS, "'1_000' is not a number"]),
    "not utf-8": (csv_of("0,1")[:-1] + b"\n60,\xe9\n", ["line 3", COUNTS, "is not a number"]),
    "long text": (csv_of("0,1", f"60,{'x' * 5000}"), ["line 3", COUNTS, "xxx..."]),
    "negative": (csv_of(*GOOD, "180,-4"), ["line 5", COUNTS, "'-4' is negative", "from 0 to 1e+15"]),
    "infinite": (csv_of(*GOOD, "180,inf"), ["line 5", COUNTS, "'inf' is infinite"]),
    "overflowing": (csv_of(*GOOD, "180,1e999"), ["line 5", COUNTS, "'1e999' is infinite"]),
    "absurd": (csv_of(*GOOD, "180,1e200"), ["line 5", COUNTS, "'1e200' is too large"]),
    "all missing": (csv_of("0,", "60,nan", "120,"), ["column 'requests' is missing in all 3 rows"]),
    "time missing": (csv_of("0,1", ",2"), ["line 3", TIMES, "the time is missing"]),
    "time nan": (csv_of("0,1", "nan,2"), ["line 3", TIMES, "'nan' is not a time"]),
    "time infinite": (csv_of("0,1", "inf,2"), ["line 3", TIMES, "out of range"]),
    "milliseconds": (csv_of("1700000000000,1", "1700000060000,2"), ["line 2", TIMES, "divided by 1000"]),
    "time is text": (csv_of("yesterday,1"), ["line 2", TIMES, "'yesterday' is not a time", "ISO-8601"]),
    "other date order": (csv_of("03/01/2025 00:05,1"), ["line 2", TIMES, "is not a time"]),
    "no such day": (csv_of("2025-02-28T00:00:00Z,1", "2025-02-29T00:00:00Z,1"), ["line 3", TIMES, "2025-02-29"]),
    "beyond 2262": (csv_of("9999-01-01T00:00:00Z,1"), ["line 2", TIMES, "out of range"]),
    "seconds then date": (csv_of("0,1", "2025-03-01T00:01:00Z,2"), ["line 3", TIMES, "starts with seconds"]),
    "date then seconds": (csv_of("2025-03-01T00:00:00Z,1", "60,2"), ["line 3", TIMES, "'60' is seconds"]),
    "offset then none": (
        csv_of("2025-03-01T00:00:00Z,1", "2025-03-01T00:01:00,2"),
        ["line 3", TIMES, "without an offset", "write all one way"],
    ),
    "none then offset": (
        csv_of("2025-03-01T00:00:00,1", "2025-03-01T00:01:00+02:00,2"),
        ["line 3", TIMES, "with an offset", "write all one way"],
    ),
    "unsorted": (csv_of("0,1", "60,2", "180,3", "120,4"), ["line 5", TIMES, "120 is earlier", "sort the rows"]),
    "backwards": (csv_of("120,1", "60,2", "0,3"), ["line 3", TIMES, "60 is earlier"]),
    "duplicate": (csv_of("0,1", "60,2", "60,3"), ["line 4", TIMES, "60 repeats", "one row per bin"]),
    "duplicate date": (
        csv_of("2025-03-01T00:00:00Z,1", "2025-03-01T01:00:00+01:00,2"),
        ["line 3", TIMES, "2025-03-01T00:00:00Z repeats"],
    ),
    "local times when summer time ends": (
        csv_of("2025-10-26T02:30:00,1", "2025-10-26T02:45:00,2", "2025-10-26T02:00:00,3"),
        ["line 4", TIMES, "2025-10-26T02:00:00 is earlier", "if these are local times", "write UTC"],
    ),
    "local hours when summer time ends": (
        csv_of("2025-10-26T01:00:00,1", "2025-10-26T02:00:00,2", "2025-10-26T02:00:00,3"),
        ["line 4", TIMES, "2025-10-26T02:00:00 repeats", "write UTC"],
    ),
    "log of Azure": (
        b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n",
        [
            "has a row per request (TIMESTAMP, Con",
            "`headstart trace import`",
            "`headstart backtest --fidelity request`",
        ],
    ),
    "log of one's own": (
        b"timestamp,prompt_tokens,output_tokens\n0.5,374,44\n",
        ["has a row per request", "`headstart trace import`"],
    ),
    "irregular": (csv_of(*GOOD, "200,4", "240,5"), ["line 5", TIMES, "200 comes 80 s after", "width 60 s"]),
    "far gap": (
        csv_of(*GOOD, "86400,4"),
        ["line 5", TIMES, "86400 comes 86280 s after", "1441 bins", "more than 10 per row"],
    ),
}


@pytest.mark.parametrize(("content", "parts"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_csv_gets_one_line_with_its_place(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "demand.csv"
    path.write_bytes(content)
    problem = problem_of(path)
    assert [part for part in parts if part not in problem] == [], problem


@pytest.mark.parametrize(("content", "parts"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_compression_changes_no_message(tmp_path: Path, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "demand.csv.gz"
    path.write_bytes(gzip.compress(content))
    problem = problem_of(path)
    assert [part for part in parts if part not in problem] == [], problem


def test_the_line_is_the_one_an_editor_shows(tmp_path: Path) -> None:
    # Blank lines and a quoted line break in a column that is not wanted shift rows against lines.
    path = tmp_path / "demand.csv"
    path.write_text('timestamp,requests,note\n\n0,1,"two\nlines"\n\n60,2,\n60,3,\n')
    assert problem_of(path).startswith("line 7, column 'timestamp': 60 repeats")
    path.write_text('timestamp,requests,note\n\n0,1,"two\nlines"\n\n60,2,\n120,x,\n')
    assert problem_of(path).startswith("line 7, column 'requests': 'x' is not a number")


@pytest.mark.parametrize(
    "rows",
    [
        ("2025-10-26T02:45:00Z,1", "2025-10-26T02:50:00Z,2", "2025-10-26T02:00:00Z,3"),
        ("2025-10-26T02:45:00,1", "2025-10-26T02:50:00,2", "2025-10-26T00:00:00,3"),
        ("3600,1", "3660,2", "60,3"),
    ],
    ids=["an offset", "two hours", "seconds"],
)
def test_only_what_may_be_a_clock_change_is_called_one(tmp_path: Path, rows: tuple[str, ...]) -> None:
    path = tmp_path / "demand.csv"
    path.write_bytes(csv_of(*rows))
    assert problem_of(path).endswith("is earlier than the row before; sort the rows by time")


def test_tokens_per_bin_are_no_log_of_requests(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text("timestamp,prompt_tokens,output_tokens\n0,374,44\n60,200,40\n")
    assert len(read_trace(path, ("prompt_tokens",))) == 2


def test_a_line_far_down_is_named(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    rows = [f"{60 * i},1" for i in range(50_000)]
    rows[40_000] = "2400000,-1"
    path.write_bytes(csv_of(*rows))
    assert problem_of(path).startswith("line 40002, column 'requests': '-1' is negative")


def test_a_file_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "absent.csv").startswith("no such file")
    assert problem_of(tmp_path).startswith("is a directory")


def test_an_address_is_told_from_a_file() -> None:
    assert problem_of(Path("https://example.com/demand.csv")).startswith("is an address, and only files are read")


@pytest.mark.parametrize(
    "read", [read_trace, lambda path: list(object_facts(path)) if is_yaml(path) else read_trace(path)]
)
def test_what_the_system_refuses_to_look_at_is_one_line(tmp_path: Path, read) -> None:
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    for path, reason in ((loop, "Too many levels of symbolic links"), (tmp_path / ("a" * 300), "File name too long")):
        with pytest.raises(UsageError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: can't be read: {reason}"


def test_the_time_column_is_no_unit(tmp_path: Path) -> None:
    assert "must be a column of counts" in problem_of(tmp_path / "any.csv", ("timestamp",))


def test_truncated_gzip_is_told_from_a_short_trace(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv.gz"
    whole = gzip.compress(csv_of(*(f"{60 * i},{i * i % 977}" for i in range(5000))))
    path.write_bytes(whole[: len(whole) // 2])
    assert problem_of(path).startswith("the gzip data ends too early")
    path.write_bytes(whole[:200] + b"\x00" * 50 + whole[250:])
    assert "gzip data" in problem_of(path)


def parquet_of(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


NS = pa.timestamp("ns", "UTC")

BAD_PARQUET = {
    "negative": ({"timestamp": [0, 60], "requests": [1.0, -2.0]}, ["row 2", COUNTS, "'-2.0' is negative"]),
    "infinite": ({"timestamp": [0, 60], "requests": [1.0, float("inf")]}, ["row 2", COUNTS, "is infinite"]),
    "text": ({"timestamp": [0, 60], "requests": ["1", "2"]}, ["column 'requests' holds string"]),
    "flags": ({"timestamp": [0, 60], "requests": [True, False]}, ["column 'requests' holds bool"]),
    "nested": ({"timestamp": [[0], [1]], "requests": [1, 2]}, ["column 'timestamp' holds list"]),
    "no time": ({"time": [0, 60], "requests": [1, 2]}, ["no column 'timestamp'", "time, requests"]),
    "time null": ({"timestamp": [0, None], "requests": [1, 2]}, ["row 2", TIMES, "the time is missing"]),
    "date null": ({"timestamp": pa.array([0, None], NS), "requests": [1, 2]}, ["row 2", TIMES, "is missing"]),
    "time nan": ({"timestamp": [0.0, float("nan")], "requests": [1, 2]}, ["row 2", TIMES, "out of range"]),
    "time text": ({"timestamp": ["2025-03-01", "soon"], "requests": [1, 2]}, ["row 2", TIMES, "'soon' is not"]),
    "mixed text": ({"timestamp": ["0", "2025-03-01"], "requests": [1, 2]}, ["row 2", TIMES, "starts with seconds"]),
    "unsorted": ({"timestamp": [60, 0], "requests": [1, 2]}, ["row 2", TIMES, "0 is earlier"]),
    "all missing": ({"timestamp": [0, 60], "requests": pa.array([None, None], "f8")}, ["missing in all 2 rows"]),
    "far date": (
        {"timestamp": pa.array([0, 253402300800], pa.timestamp("s")), "requests": [1, 2]},
        ["row 2", TIMES, "is out of range"],
    ),
    "far day": (
        {"timestamp": pa.array([0, 2932896], pa.date32()), "requests": [1, 2]},
        ["row 2", TIMES, "is out of range"],
    ),
    "huge time": (
        {"timestamp": [0, 2**60 + 1], "requests": [1, 2]},
        ["row 2", TIMES, "is out of range", "divided by 1000"],
    ),
    "huge count": ({"timestamp": [0, 60], "requests": [1, 2**60 + 1]}, ["row 2", COUNTS, "is too large"]),
    "no rows": ({"timestamp": pa.array([], NS), "requests": pa.array([], "f8")}, ["has 0 row(s)"]),
}


@pytest.mark.parametrize(("columns", "parts"), BAD_PARQUET.values(), ids=BAD_PARQUET.keys())
def test_a_bad_parquet_file_gets_one_line_with_its_place(
    tmp_path: Path, columns: dict[str, object], parts: list[str]
) -> None:
    problem = problem_of(parquet_of(tmp_path / "demand.parquet", **columns))
    assert [part for part in parts if part not in problem] == [], problem


def test_truncated_parquet(tmp_path: Path) -> None:
    path = parquet_of(tmp_path / "demand.parquet", timestamp=list(range(1000)), requests=list(range(1000)))
    path.write_bytes(path.read_bytes()[:-20])
    assert problem_of(path).startswith("can't be read, it may be damaged or cut short")


def test_a_csv_called_parquet_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "demand.parquet"
    path.write_bytes(csv_of(*GOOD))
    assert "is not a Parquet file" in problem_of(path)


def test_a_bad_cell_early_in_a_slow_file_ends_the_process_in_order(tmp_path: Path) -> None:
    """Arrow reads ahead in a thread: one that was in Python while the interpreter ended aborted the process."""
    path = tmp_path / "demand.csv"
    path.write_text("timestamp,requests\n0,-1\n" + "".join(f"{60 * i},{i % 7}\n" for i in range(1, 5000)))
    program = f"""
import threading, time
from contextlib import contextmanager
from pathlib import Path
from autoscaler.traces import csv_columns

class Slow:
    def __init__(self, stream):
        self.stream = stream

    def read(self, size=-1):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.3)
        return self.stream.read(size)

    def __getattr__(self, name):
        return getattr(self.stream, name)

opened = csv_columns.open_bytes

@contextmanager
def slowly(path):
    with opened(path) as stream:
        yield Slow(stream)

csv_columns.open_bytes = slowly
csv_columns._BLOCK_BYTES = 4096
csv_columns.read_csv_columns(Path({str(path)!r}), "timestamp", ["requests"])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "line 2, column 'requests': '-1' is negative" in ended.stderr
    assert (ended.returncode, "Fatal Python error" in ended.stderr, "terminate" in ended.stderr) == (1, False, False)
