"""Logs with a row per request: public formats, sorting, sums per bin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.errors import UsageError
from autoscaler.traces.formats import detect_format, import_requests, import_trace, rebin
from autoscaler.traces.read import read_trace
from autoscaler.traces.requests import RequestLog, bin_requests, read_requests, write_requests
from autoscaler.traces.trace import Trace
from autoscaler.traces.write import write_trace

UNITS = ("requests", "prompt_tokens", "output_tokens")

AZURE_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:04.0319600,3180,8
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:05.2792970,201,24"""

AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:00+00:00,2399,6
"""

MOONCAKE = """{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}

{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": []}
"""

BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45.5,GPT-4,1087,0,1087,API log
"""

PLAIN = "timestamp,prompt_tokens,output_tokens\n2025-03-01T00:00:07Z,10,2\n2025-03-01T00:00:01.5Z,20,3\n"


def written(tmp_path: Path, content: str, name: str = "log.csv") -> Path:
    path = tmp_path / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("content", "name", "start_s", "arrival_s", "prompt", "output", "dated"),
    [
        (AZURE_2023, "azure-llm", 1700158623.0, [0.97996, 1.03196, 2.279297], [4808, 3180, 201], [10, 8, 24], True),
        (AZURE_2024, "azure-llm", 1715299200.0, [0.0, 0.00993], [2399, 2162], [6, 5], True),
        (MOONCAKE, "mooncake", 0.0, [0.0, 3.0], [6758, 7322], [500, 490], False),
        (BURSTGPT, "burstgpt", 5.0, [0.0, 40.5], [472, 1087], [18, 0], False),
        (PLAIN, "csv", 1740787201.0, [0.5, 6.0], [20, 10], [3, 2], True),
    ],
    ids=["azure 2023", "azure 2024", "mooncake", "burstgpt", "plain"],
)
def test_public_formats_are_found_read_and_sorted(
    tmp_path: Path,
    content: str,
    name: str,
    start_s: float,
    arrival_s: list[float],
    prompt: list[int],
    output: list[int],
    dated: bool,
) -> None:
    path = written(tmp_path, content)
    assert detect_format(path) == name
    for log in (import_requests(path), import_requests(path, name)):
        assert (log.name, log.start_s, log.dated) == ("log", start_s, dated)
        np.testing.assert_array_equal(log.arrival_s, arrival_s)
        np.testing.assert_array_equal(log.prompt_tokens, prompt)
        np.testing.assert_array_equal(log.output_tokens, output)
        assert (log.arrival_s.dtype, log.prompt_tokens.dtype, log.output_tokens.dtype) == ("f8", "i8", "i8")


BAD = {
    "negative tokens": (
        AZURE_2023 + "\n2023-11-16 18:17:06,-1,2\n",
        "line 5, column 'ContextTokens': '-1' is negative",
    ),
    "missing tokens": (PLAIN + "2025-03-01T00:00:09Z,,2\n", "line 4, column 'prompt_tokens': is missing"),
    "too many tokens": (PLAIN + "2025-03-01T00:00:09Z,1,1e40\n", "line 4, column 'output_tokens': '1e40' is too large"),
    "more digits than a float holds": (
        f'{{"timestamp": 1, "input_length": 1{"0" * 400}, "output_length": 2}}\n',
        "line 1, column 'input_length': '1000",
    ),
    "half a token": (PLAIN + "2025-03-01T00:00:09Z,1,2.5\n", "line 4, column 'output_tokens': is 2.5"),
    "time is text": (BURSTGPT + "soon,GPT-4,1,1,2,API log\n", "line 4, column 'Timestamp': 'soon' is not a time"),
    "cut line": (BURSTGPT + "50,GPT-4,1\n", "line 4: has 3 cells"),
    "no rows": ("timestamp,prompt_tokens,output_tokens\n", "has no row of data"),
    "json cut": (MOONCAKE + '{"timestamp": 30', "line 4: is not JSON"),
    "json array": ("[1, 2]\n", "line 1: is not a JSON object"),
    "json key": ('{"timestamp": 1, "input_length": 2}\n', "line 1: has no 'output_length'"),
    "json text": (MOONCAKE.replace("490", '"490"'), "line 3, column 'output_length': '\"490\"' is not a number"),
    "json negative": (MOONCAKE.replace("7322", "-7"), "line 3, column 'input_length': '-7' is negative"),
    "json null": (MOONCAKE.replace("3000", "null"), "line 3, column 'timestamp': 'null' is not a number; allowed are"),
    "json fraction": (MOONCAKE.replace("7322", "7.5"), "line 3, column 'input_length': is 7.5"),
    "json true": (MOONCAKE.replace("490", "true"), "line 3, column 'output_length': 'true' is not a number"),
    "json nan": (MOONCAKE.replace("3000", "NaN"), "line 3, column 'timestamp'"),
    "unknown columns": ("when,what\n1,2\n", "is in no known format: its columns are"),
}


@pytest.mark.parametrize(("content", "part"), BAD.values(), ids=BAD.keys())
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, content: str, part: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        import_requests(path)
    assert str(caught.value).startswith(f"{path}: {part}")
    assert "\n" not in str(caught.value)


def test_a_wrong_or_unknown_format_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    with pytest.raises(UsageError, match="'csb' is unknown; allowed are auto, azure-llm, mooncake, burstgpt, csv"):
        import_requests(path, "csb")
    with pytest.raises(UsageError, match="is not JSON lines"):
        import_requests(path, "mooncake")
    with pytest.raises(UsageError, match="no column 'TIMESTAMP'"):
        import_requests(path, "azure-llm")
    with pytest.raises(UsageError, match="is JSON lines, not a table of Timestamp, .*; try the format 'auto'"):
        import_requests(written(tmp_path, MOONCAKE, "log.jsonl"), "burstgpt")


def log_of(arrival_s: list[float], **changes: object) -> RequestLog:
    tokens = np.arange(1, len(arrival_s) + 1)
    fields = {"name": "log", "start_s": 0.0, "dated": False, "prompt_tokens": tokens, "output_tokens": 10 * tokens}
    return RequestLog(arrival_s=np.array(arrival_s), **(fields | changes))


def test_bins_start_at_the_log_and_are_zero_where_nothing_arrived() -> None:
    trace = bin_requests(log_of([0.0, 9.999, 10.0, 35.0], start_s=7.0), 10)
    assert (trace.start_s, trace.bin_s) == (7.0, 10.0)
    np.testing.assert_array_equal(trace.demand["requests"], [2, 1, 0, 1])
    np.testing.assert_array_equal(trace.demand["prompt_tokens"], [3, 3, 0, 4])
    np.testing.assert_array_equal(trace.demand["output_tokens"], [30, 30, 0, 40])


def test_a_request_on_the_edge_of_a_bin_belongs_to_the_bin_that_starts() -> None:
    # 0.3 / 0.1 is 2.9999999999999996 in floating point.
    np.testing.assert_array_equal(bin_requests(log_of([0.1, 0.2, 0.3]), 0.1).demand["requests"], [0, 1, 1, 1])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50), st.sampled_from([0.5, 1.0, 60.0, 7.3]))
def test_binning_keeps_every_request_and_token(arrivals_ns: list[int], bin_s: float) -> None:
    log = log_of([t / 1e9 for t in sorted(arrivals_ns)])
    trace = bin_requests(log, bin_s)
    assert trace.demand["requests"].sum() == len(log)
    assert trace.demand["prompt_tokens"].sum() == log.prompt_tokens.sum()
    edges = np.arange(len(trace) + 1) * bin_s
    np.testing.assert_array_equal(trace.demand["requests"] > 0, np.histogram(log.arrival_s, edges)[0] > 0)


@pytest.mark.parametrize("bin_s", [0.0, -1.0, float("nan"), float("inf"), 1e-10])
def test_impossible_bins_are_refused(bin_s: float) -> None:
    with pytest.raises(UsageError, match="positive number of seconds"):
        bin_requests(log_of([0.0, 1.0]), bin_s)


def test_bins_beyond_memory_are_refused() -> None:
    with pytest.raises(UsageError, match="take wider bins"):
        bin_requests(log_of([0.0, 1e9]), 0.001)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
@pytest.mark.parametrize("dated", [True, False])
def test_a_log_reads_back_as_written(tmp_path: Path, name: str, dated: bool) -> None:
    log = log_of([0.0000001, 0.97996, 2.25, 2.25], start_s=3.0, dated=dated)
    write_requests(log, tmp_path / name)
    read = read_requests(tmp_path / name)
    assert (read.start_s, read.dated) == (log.start_s, log.dated)
    np.testing.assert_array_equal(read.arrival_s, log.arrival_s)
    np.testing.assert_array_equal(read.prompt_tokens, log.prompt_tokens)
    np.testing.assert_array_equal(read.output_tokens, log.output_tokens)


def test_counts_per_bin_are_imported_as_they_are_or_summed(tmp_path: Path) -> None:
    path = written(
        tmp_path, "timestamp,requests,prompt_tokens,output_tokens\n0,1,9,9\n60,,9,9\n120,3,9,9\n180,4,9,9\n240,5,9,9"
    )
    np.testing.assert_array_equal(import_trace(path).demand["requests"], [1, np.nan, 3, 4, 5])
    summed = import_trace(path, bin_s=120, units=("requests", "prompt_tokens"))
    assert summed.bin_s == 120
    np.testing.assert_array_equal(summed.demand["requests"], [np.nan, 7])
    np.testing.assert_array_equal(summed.demand["prompt_tokens"], [18, 18])


def test_summed_counts_state_their_new_width(tmp_path: Path) -> None:
    path = written(tmp_path, "timestamp,requests,bin_seconds\n0,1.5,60\n60,2.5,60\n120,3,60\n180,4,60\n")
    assert import_trace(path, bin_s=120).counted
    write_trace(import_trace(path, bin_s=120), tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "timestamp,requests,bin_seconds\n0,4,120\n120,7,120\n"


def test_only_whole_multiples_can_be_summed() -> None:
    trace = Trace("t", 0.0, 60.0, {"requests": np.ones(5)}, False)
    for bin_s in (90.0, 30.0, 0.0):
        with pytest.raises(UsageError, match="can't be summed"):
            rebin(trace, bin_s)
    with pytest.raises(UsageError, match="less than 2 bins"):
        rebin(trace, 180)


def test_a_log_keeps_the_units_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN)
    assert list(import_trace(path, units=("output_tokens",)).demand) == ["output_tokens"]
    assert import_trace(path).bin_s == 60
    with pytest.raises(UsageError, match="no unit 'tokens'; there are: requests, prompt_tokens, output_tokens"):
        import_trace(path, units=("tokens",))


@pytest.mark.parametrize(
    ("original", "binned"),
    [
        ("AzureLLMInferenceTrace_code.csv", "azure_llm_2023_code_1s.csv"),
        ("AzureLLMInferenceTrace_conv.csv", "azure_llm_2023_conv_1s.csv"),
    ],
)
def test_the_published_azure_logs_give_the_known_counts_per_second(
    shared_traces: Path, original: str, binned: str
) -> None:
    imported = import_trace(shared_traces / "original" / original, bin_s=1)
    known = read_trace(shared_traces / binned, UNITS)
    assert (imported.start_s, len(imported)) == (known.start_s, len(known))
    for unit in UNITS:
        np.testing.assert_array_equal(imported.demand[unit], known.demand[unit])


def test_the_published_mooncake_log_gives_the_known_counts_per_second(shared_traces: Path) -> None:
    # The file is the head of the log: its last second may be cut.
    imported = import_trace(shared_traces / "original" / "mooncake_conversation_trace_head.jsonl", bin_s=1)
    known = read_trace(shared_traces / "mooncake_conversation_1s.csv", UNITS)
    for unit in UNITS:
        np.testing.assert_array_equal(imported.demand[unit][:-1], known.demand[unit][: len(imported) - 1])
