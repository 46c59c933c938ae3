"""What `read_trace` accepts, and what it makes of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.errors import UsageError
from autoscaler.report.curves import is_dated
from autoscaler.traces import csv_columns
from autoscaler.traces.columns import Clock, parse_number, parse_time
from autoscaler.traces.read import column_names, read_trace
from autoscaler.traces.suspect import suspicions

NAN = float("nan")
DAY_S = 1740787200.0  # 2025-03-01T00:00:00Z


def trace_of(tmp_path: Path, content: str | bytes, name: str = "demand.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_trace(path)


def test_seconds_and_counts(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "timestamp,requests\n300,46\n600,28\n900,0\n")
    assert (trace.name, trace.start_s, trace.bin_s, trace.dated) == ("demand", 300.0, 300.0, False)
    np.testing.assert_array_equal(trace.demand["requests"], [46, 28, 0])
    np.testing.assert_array_equal(trace.timestamps_s, [300, 600, 900])


@pytest.mark.parametrize(
    "times",
    [
        ["2025-03-01T00:00:00Z", "2025-03-01T00:05:00Z"],
        ["2025-03-01 00:00:00", "2025-03-01 00:05:00"],
        ["2025-03-01T00:00", "2025-03-01T00:05"],
        ["2025-03-01T00", "2025-03-01T00:05"],
        ["2025-03-01T02:00:00+02:00", "2025-02-28T19:05:00-05:00"],
        ["2025-03-01T02:00:00+0200", "2025-02-28T19:05:00-0500"],
        ["2025-03-01", "2025-03-01T00:05:00"],
        ["2025-03-01T00:00:00.000000000Z", "2025-03-01T00:05:00.0Z"],
        [" 2025-03-01T00:00:00Z", "2025-03-01T00:05:00Z "],
    ],
    ids=lambda times: times[0],
)
def test_iso_dates_with_and_without_offset_are_utc(tmp_path: Path, times: list[str]) -> None:
    trace = trace_of(tmp_path, f"timestamp,requests\n{times[0]},1\n{times[1]},2\n")
    assert (trace.start_s, trace.bin_s, trace.dated) == (DAY_S, 300.0, True)


def test_a_day_of_an_odd_start_and_fractions_of_a_second(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "timestamp,requests\n2025-03-01T00:00:53.125Z,1\n2025-03-01T00:00:53.375Z,2\n")
    assert (trace.start_s, trace.bin_s) == (DAY_S + 53.125, 0.25)


def test_tenths_of_a_second_are_regular_although_floats_are_not(tmp_path: Path) -> None:
    rows = "".join(f"{i * 0.1 + 1.7e9:.1f},{i}\n" for i in range(1000))
    trace = trace_of(tmp_path, "timestamp,requests\n" + rows)
    assert (trace.bin_s, len(trace)) == (0.1, 1000)


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "null", "NULL", "Nan", " ", '""', " nan ", "-nan"])
def test_missing_is_nan_and_not_zero(tmp_path: Path, missing: str) -> None:
    trace = trace_of(tmp_path, f"timestamp,requests\n0,0\n60,{missing}\n120,2\n")
    np.testing.assert_array_equal(trace.demand["requests"], [0, NAN, 2])


def test_absent_rows_become_missing_bins(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "timestamp,requests\n0,1\n60,2\n240,5\n300,6\n")
    np.testing.assert_array_equal(trace.demand["requests"], [1, 2, NAN, NAN, 5, 6])


def test_of_equally_common_steps_the_shortest_is_the_bin(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "timestamp,requests\n0,1\n120,2\n180,3\n")
    assert trace.bin_s == 60
    np.testing.assert_array_equal(trace.demand["requests"], [1, NAN, 2, 3])


def test_byte_order_mark_crlf_quotes_blank_lines_and_other_columns(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf"timestamp", note ,requests\r\n0,"a, b",1\r\n\r\n60,\xe9,"2"\r\n120,,3e0'
    trace = trace_of(tmp_path, content)
    np.testing.assert_array_equal(trace.demand["requests"], [1, 2, 3])
    assert column_names(tmp_path / "demand.csv") == ["timestamp", "note", "requests"]


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(b"timestamp,requests\n0,1\n60,2\n")
    assert trace_of(tmp_path, packed, "demand.csv.gz").name == "demand"
    assert trace_of(tmp_path, packed, "demand.csv").bin_s == 60


@pytest.mark.parametrize(
    ("content", "counted"),
    [
        ("timestamp,requests,bin_seconds\n0,1.5,60\n60,,60\n180,2.5,60\n", True),
        ("timestamp,requests\n0,1.5\n60,2.5\n", False),
        ("timestamp,requests,bin_seconds\n0,1.5,60\n300,2.5,60\n", False),
        ("timestamp,requests,bin_seconds\n0,1.5,60\n60,2.5,\n", False),
        ("timestamp,requests,bin_seconds,bin_seconds\n0,1.5,60,60\n60,2.5,60,60\n", False),
    ],
    ids=["as wide as rows are apart", "not stated", "rows are wider", "missing", "twice"],
)
def test_a_column_may_state_the_bins_width(tmp_path: Path, content: str, counted: bool) -> None:
    trace = trace_of(tmp_path, content)
    assert trace.counted is counted
    assert list(trace.demand) == ["requests"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,1,300\n300,2,60\n600,3,60\n", "column 'bin_seconds' has 60 at line 3, and the rows are 300 s apart: each"),
        ("0,1,60\n60,2,60\n300,3,60\n", ""),
        ("0,1,60\n60,2,\n", ""),
    ],
    ids=["rows are wider", "rows are absent", "missing"],
)
def test_a_stated_width_that_the_rows_contradict_is_told(tmp_path: Path, rows: str, said: str) -> None:
    trace = trace_of(tmp_path, f"timestamp,requests,bin_seconds\n{rows}")
    assert trace.misstated.startswith(said)
    assert suspicions(trace) == ([trace.misstated] if said else [])


def test_several_units_keep_their_order_and_repeat_nothing(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    path.write_text("a,timestamp,b\n1,0,2\n3,60,4\n")
    trace = read_trace(path, ("b", "a", "b"))
    assert list(trace.demand) == ["b", "a"]
    np.testing.assert_array_equal(trace.demand["b"], [2, 4])


@pytest.mark.parametrize(
    ("start_s", "dated"), [(0, False), (86_400, False), (99_999_999, False), (1_764_547_200, True)]
)
def test_seconds_since_the_epoch_are_dates_and_those_from_some_start_are_not(
    tmp_path: Path, start_s: int, dated: bool
) -> None:
    trace = trace_of(tmp_path, f"timestamp,requests\n{start_s},1\n{start_s + 60},2\n")
    assert (trace.start_s, trace.dated, is_dated(trace.start_s)) == (start_s, dated, dated)


def test_a_bad_time_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 3, column 'timestamp': 1764547200 repeats the time of the row before"):
        trace_of(tmp_path, "timestamp,requests\n1764547200,1\n1764547200,2\n")


@pytest.mark.parametrize(
    ("times", "dated", "bin_s"),
    [
        (pa.array([0, 300], pa.timestamp("s")), True, 300),
        (pa.array([0, 300_000], pa.timestamp("ms", "Europe/Berlin")), True, 300),
        (pa.array([0, 1], pa.date32()), True, 86400),
        (pa.array([0, 300], pa.int32()), False, 300),
        (pa.array([0.0, 0.5]), False, 0.5),
        (pa.array(["1970-01-01T00:00:00Z", "1970-01-01T00:05:00Z"]), True, 300),
    ],
    ids=str,
)
def test_parquet_times_of_every_kind(tmp_path: Path, times: pa.Array, dated: bool, bin_s: float) -> None:
    path = tmp_path / "demand.parquet"
    pq.write_table(pa.table({"timestamp": times, "requests": pa.array([1, None], pa.uint32())}), path)
    trace = read_trace(path)
    assert (trace.start_s, trace.bin_s, trace.dated) == (0.0, bin_s, dated)
    np.testing.assert_array_equal(trace.demand["requests"], [1, NAN])


def test_a_parquet_files_name_needs_to_be_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "no UTF-8 \udce9.parquet"
    pq.write_table(pa.table({"timestamp": [0, 60], "requests": [1, 2]}), tmp_path / "plain.parquet")
    (tmp_path / "plain.parquet").rename(path)
    assert len(read_trace(path)) == 2


def test_parquet_rows_are_counted_across_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.traces.parquet_columns._BATCH_ROWS", 10)
    path = tmp_path / "demand.parquet"
    counts = [1.0] * 50
    counts[37] = -1.0
    pq.write_table(pa.table({"timestamp": list(range(50)), "requests": counts}), path)
    with pytest.raises(UsageError, match="row 38, column 'requests'"):
        read_trace(path)


CELLS = st.sampled_from(
    [
        "",
        "nan",
        "-nan",
        "+NaN",
        "0",
        "1",
        "2.5",
        "1e3",
        ".5",
        "5.",
        "+7",
        "-1",
        "-0",
        "inf",
        "0x5",
        "1_0",
        "x",
        " 4 ",
        "1e999",
        "1,5",
    ]
)
TIMES = st.sampled_from(
    [
        *(
            "0",
            "60",
            "1.5",
            "-3",
            "1e300",
            "1700000000.123456",
            "",
            "x",
            "2025-13-01",
            "2025-03-01",
            "2025-03-01 00:05",
        ),
        *("2025-03-01T00:05:00.1234567", "2025-03-01T00:05:00Z", "2025-03-01T00:05:00+01:00"),
        *("2025-03-01T00:05:00-0130", "2025-03-01T00:05:00.5"),
        *("2025-03-01T01", "2025-03-01 01Z", "2025-03-01T01.5", "2025-03-01T01+01:00"),
    ]
)


@given(st.lists(st.tuples(TIMES, CELLS), min_size=1, max_size=4))
def test_the_fast_reader_agrees_with_the_one_that_defines(tmp_path_factory, rows: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "demand.csv"
    path.write_text("timestamp,requests\n" + "".join(f'{time},"{cell}"\n' for time, cell in rows))
    try:
        layout = csv_columns._layout(path, "timestamp", ["requests"])
    except UsageError:
        return
    fast = csv_columns._read_by_arrow(path, layout, "timestamp", ["requests"])
    if fast is None:
        return
    times, numbers = csv_columns._read_by_row(path, layout, "timestamp", ["requests"])
    np.testing.assert_array_equal(fast[0], times)
    np.testing.assert_array_equal(fast[1]["requests"], numbers["requests"])


def test_an_ordinary_file_takes_the_fast_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_columns, "_read_by_row", None)
    assert len(trace_of(tmp_path, "timestamp,requests\n2025-03-01T00:00:00Z,1\n2025-03-01T00:01:00Z,\n")) == 2
    assert len(trace_of(tmp_path, "timestamp,requests\n0,1\n60,nan\n")) == 2
    assert len(trace_of(tmp_path, gzip.compress(b"timestamp,requests\n0,1\n60,nan\n"))) == 2
    assert len(trace_of(tmp_path, "timestamp,requests\n0,1\n60,nan\n", name="no UTF-8 \udce9.csv")) == 2


def test_cells() -> None:
    assert parse_time("-1.25") == (-1_250_000_000, Clock.SECONDS)
    assert parse_time("1970-01-01T00:00:01.000000001Z") == (1_000_000_001, Clock.OFFSET)
    assert parse_time("1969-12-31T23:59:59.5") == (-500_000_000, Clock.NAIVE)
    assert np.isnan(parse_number(" NULL "))
    assert parse_number("1e3") == 1000


def test_every_real_trace_loads(shared_traces: Path) -> None:
    bins = {path.stem: read_trace(path) for path in sorted(shared_traces.glob("*.csv"))}
    assert len(bins) >= 14
    widths = {"1s": 1, "1min": 60, "5min": 300, "10min": 600, "30min": 1800}
    for name, trace in bins.items():
        assert trace.bin_s == widths[name.removesuffix("_semisynthetic").rsplit("_", 1)[1]], name
    assert bins["azure_vm_2017_arrivals_5min"].start_s == 300
    assert bins["nab_tweets_AMZN_5min"].start_s == 1424986973.0
    assert np.isnan(bins["servegen_m_mid_client_c40_10min"].demand["requests"]).sum() == 91
