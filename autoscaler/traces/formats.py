"""Import demand from the formats that public traces come in.

Each format is a function from a file to a `RequestLog`; plain CSV and Parquet may hold counts per bin instead.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.errors import UsageError, shown
from autoscaler.traces.columns import (
    NUMBER_MAX,
    CellError,
    Clock,
    Columns,
    cell_error,
    check_number,
    listed_names,
    seconds_to_ns,
)
from autoscaler.traces.log_columns import AZURE_LLM, BURSTGPT, MOONCAKE, TOKEN_COLUMNS, name_a_log
from autoscaler.traces.read import TIME_COLUMN, column_names, read_columns, read_trace
from autoscaler.traces.requests import RequestLog, bin_requests, log_of, read_requests
from autoscaler.traces.source import Content, open_bytes, sniff
from autoscaler.traces.trace import Trace

DEFAULT_BIN_S = 60.0


def import_requests(path: Path | str, format: str = "auto") -> RequestLog:
    """Read a log of requests in one of `FORMATS`, or the one that `detect_format` finds for 'auto'.

    Raises:
        UsageError: the format is unknown or not found out, the file has counts per bin, or one line that names the
            first cell that can't be used.
    """
    path = Path(path)
    name = detect_format(path) if format == "auto" else format
    read = _reader(name)
    if name in {"csv", "parquet"} and "requests" in column_names(path):
        raise UsageError(
            f"{path}: has counts per bin, in its column 'requests'; a log with one row per request is needed, with "
            f"'{TIME_COLUMN}', {' and '.join(map(repr, TOKEN_COLUMNS))}"
        )
    return read(path)


def import_trace(
    path: Path | str,
    format: str = "auto",
    *,
    bin_s: float | None = None,
    units: Sequence[str] = (),
) -> Trace:
    """Read demand per bin from a log of requests, or from a CSV or Parquet file that has counts per bin already.

    Args:
        path: the file.
        format: one of `FORMATS`, or 'auto'.
        bin_s: width of the bins; None is 60 s for a log, and the file's own for counts.
        units: what to keep; none given keeps all that a log has, and 'requests' of counts.

    Raises:
        UsageError: one line that says what can't be used.
    """
    path = Path(path)
    name = detect_format(path) if format == "auto" else format
    read = _reader(name)
    if name in {"csv", "parquet"} and not name_a_log(column_names(path)):
        counts = read_trace(path, units or ("requests",))
        return counts if bin_s is None else rebin(counts, bin_s)
    trace = bin_requests(read(path), DEFAULT_BIN_S if bin_s is None else bin_s)
    for unit in units:
        if unit not in trace.demand:
            raise UsageError(f"{path}: has no unit '{unit}'; there are: {', '.join(trace.demand)}")
    kept = {unit: trace.demand[unit] for unit in units or trace.demand}
    return replace(trace, demand=kept)


def detect_format(path: Path | str) -> str:
    """Which of `FORMATS` a file is in, by its content. Raises UsageError where it is in none."""
    path = Path(path)
    content = sniff(path)
    if content is Content.JSON:
        return "mooncake"
    if content is Content.PARQUET:
        return "parquet"
    names = column_names(path)
    for name, columns in (("azure-llm", AZURE_LLM), ("burstgpt", BURSTGPT)):
        if set(names).issuperset(columns):
            return name
    if TIME_COLUMN in names:
        return "csv"
    raise UsageError(
        f"{path}: is in no known format: its columns are {listed_names(names)}; plain CSV needs '{TIME_COLUMN}'"
        f" with 'requests' or with {' and '.join(map(repr, TOKEN_COLUMNS))}"
    )


def rebin(trace: Trace, bin_s: float) -> Trace:
    """Sum the counts of `trace` into bins of `bin_s` seconds; one with a missing part is missing, a cut last one goes.

    Raises:
        UsageError: `bin_s` is not a multiple of the trace's own bins, or the trace is shorter than one of it.
    """
    factor = round(bin_s / trace.bin_s)
    if factor < 1 or abs(factor * trace.bin_s - bin_s) > 1e-6:
        raise UsageError(f"{trace.name}: bins of {bin_s:g} s can't be summed from its bins of {trace.bin_s:g} s")
    bins = len(trace) // factor
    if bins < 2:
        raise UsageError(
            f"{trace.name}: lasts {trace.duration_s:g} s, less than 2 bins of {bin_s:g} s; take narrower bins"
        )
    demand = {unit: values[: bins * factor].reshape(bins, factor).sum(axis=1) for unit, values in trace.demand.items()}
    return replace(trace, bin_s=bin_s, demand=demand)


def _reader(name: str) -> Callable[[Path], RequestLog]:
    if name not in _READERS:
        raise UsageError(f"the format '{name}' is unknown; allowed are auto, {', '.join(_READERS)}")
    return _READERS[name]


def _read_azure_llm(path: Path) -> RequestLog:
    return _read_table(path, AZURE_LLM)


def _read_burstgpt(path: Path) -> RequestLog:
    return _read_table(path, BURSTGPT)


def _read_table(path: Path, names: tuple[str, str, str]) -> RequestLog:
    time, prompt, output = names
    if sniff(path) is Content.JSON:
        raise UsageError(f"{path}: is JSON lines, not a table of {', '.join(names)}; try the format 'auto'")
    return log_of(read_columns(path, time, (prompt, output)), prompt, output)


def _read_mooncake(path: Path) -> RequestLog:
    """JSON lines; `timestamp` is in milliseconds."""
    if sniff(path) is not Content.JSON:
        raise UsageError(f"{path}: is not JSON lines, which the format 'mooncake' is; try the format 'auto'")
    time, prompt, output = MOONCAKE
    lines, times, tokens = array("q"), array("q"), {prompt: array("d"), output: array("d")}
    with open_bytes(path) as stream:
        for line, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            row, column = _json_row(path, line, text), time
            try:
                times.append(seconds_to_ns(_json_number(row[time]) / 1000))
                for column, values in tokens.items():
                    values.append(_json_number(row[column]))
            except CellError as error:
                raise cell_error(path, f"line {line}", column, str(error)) from None
            lines.append(line)
    numbers = {name: np.array(values, np.float64) for name, values in tokens.items()}
    columns = Columns(path, time, Clock.SECONDS, np.array(times, np.int64), numbers, lambda row: f"line {lines[row]}")
    return log_of(columns, prompt, output)


def _json_row(path: Path, line: int, text: bytes) -> Mapping[str, Any]:
    wanted = ", ".join(MOONCAKE)
    try:
        row = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"{path}: line {line}: is not JSON ({error}); each line must be an object with {wanted}"
        ) from error
    if not isinstance(row, dict):
        raise UsageError(f"{path}: line {line}: is not a JSON object; each line must be one with {wanted}")
    for name in MOONCAKE:
        if name not in row:
            raise UsageError(f"{path}: line {line}: has no '{name}'; each line must be an object with {wanted}")
    return row


def _json_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CellError(f"{shown(json.dumps(value))} is not a number; allowed are numbers from 0 to {NUMBER_MAX:g}")
    check_number(value, str(value))
    return float(value)


_READERS: dict[str, Callable[[Path], RequestLog]] = {
    "azure-llm": _read_azure_llm,
    "mooncake": _read_mooncake,
    "burstgpt": _read_burstgpt,
    "csv": read_requests,
    "parquet": read_requests,
}
FORMATS = ("auto", *_READERS)
