from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.errors import UsageError
from autoscaler.traces.columns import NUMBER_MAX, parse_time, time_text
from autoscaler.traces.read import read_trace
from autoscaler.traces.trace import DATED_FROM_S, Trace
from autoscaler.traces.write import write_trace

NAN = float("nan")


def assert_same(read: Trace, written: Trace) -> None:
    assert (read.start_s, read.bin_s, read.dated) == (written.start_s, written.bin_s, written.dated)
    assert read.counted == written.counted
    assert list(read.demand) == list(written.demand)
    for unit, values in written.demand.items():
        np.testing.assert_array_equal(read.demand[unit], values)


COUNTS = st.one_of(st.just(NAN), st.integers(0, 10**15).map(float), st.floats(0, NUMBER_MAX))


@given(
    start_us=st.integers(-(2**31), 4 * 10**15),
    bin_us=st.one_of(st.sampled_from([10**6, 6 * 10**7, 3 * 10**8]), st.integers(1, 10**11)),
    counts=st.lists(COUNTS, min_size=2, max_size=20).filter(lambda c: not all(np.isnan(c))),
    dated=st.booleans(),
    counted=st.booleans(),
    suffix=st.sampled_from(["csv", "csv.gz", "parquet"]),
)
def test_reading_gives_back_exactly_what_was_written(
    tmp_path_factory, start_us: int, bin_us: int, counts: list[float], dated: bool, counted: bool, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("trace") / f"demand.{suffix}"
    demand = {"requests": np.array(counts), 'odd, "name"': np.arange(len(counts)) / 3}
    since_epoch = start_us >= DATED_FROM_S * 10**6
    written = Trace("demand", start_us / 10**6, bin_us / 10**6, demand, dated or since_epoch, counted)
    write_trace(written, path)
    read = read_trace(path, tuple(demand))
    assert read.name == "demand"
    assert_same(read, written)


def test_a_csv_is_plain_to_read(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    write_trace(Trace("t", 1740787200.5, 60.0, {"requests": np.array([1.0, NAN, 0.1])}, True), path)
    assert path.read_text() == (
        "timestamp,requests\n2025-03-01T00:00:00.5Z,1\n2025-03-01T00:01:00.5Z,\n2025-03-01T00:02:00.5Z,0.1\n"
    )


def test_a_csv_states_its_bins_width_beside_its_units(tmp_path: Path) -> None:
    path = tmp_path / "demand.csv"
    write_trace(Trace("t", 0.0, 60.0, {"requests": np.array([1.5, NAN])}, False, counted=True), path)
    assert path.read_text() == "timestamp,requests,bin_seconds\n0,1.5,60\n60,,60\n"


def test_chunks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.traces.write._CHUNK_ROWS", 7)
    written = Trace("t", 0.0, 60.0, {"requests": np.arange(20.0)}, True)
    write_trace(written, tmp_path / "demand.csv")
    assert_same(read_trace(tmp_path / "demand.csv"), written)


@pytest.mark.parametrize("name", ["demand.xlsx", "demand.json", "demand.gz"])
def test_another_suffix_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    trace = Trace("t", 0.0, 60.0, {"requests": np.ones(2)}, False)
    with pytest.raises(UsageError, match=r"suffix '\.\w+' is unknown; allowed are \.csv, \.csv\.gz and \.parquet"):
        write_trace(trace, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["demand.csv", "demand.parquet"])
def test_a_single_bin_could_not_be_read_back_and_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="would hold 1 bin of 60 s"):
        write_trace(Trace("t", 0.0, 60.0, {"requests": np.ones(1)}, False), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_times_that_the_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    trace = Trace("t", 0.0, 1 / 3, {"requests": np.ones(2)}, False)
    with pytest.raises(UsageError, match="bin_s 0.333.* is not a whole number of microseconds"):
        write_trace(trace, tmp_path / "demand.csv")


@given(time_ns=st.integers(-(10**18), 5 * 10**18))
def test_a_date_as_text_reads_back_to_the_nanosecond(time_ns: int) -> None:
    assert parse_time(time_text(time_ns, dated=True))[0] == time_ns


def test_seconds_as_text_have_one_sign() -> None:
    texts = [time_text(t, dated=False) for t in (-1_250_000_000, -250_000_000, -3_000_000_000, 0, 500_000_000)]
    assert texts == ["-1.25", "-0.25", "-3", "0", "0.5"]
