"""Rows on disk: a Parquet file per finished case, so that a benchmark goes on where it was stopped, and one of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscaler.backtest.benchmark.cases import Case
from autoscaler.backtest.benchmark.rows import Row
from autoscaler.backtest.benchmark.run_job import Finished
from autoscaler.files import write_aside

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDER = "cases"


def part_path(out: Path, case: Case) -> Path:
    """Where a case's rows are kept under `out`."""
    return out / _FOLDER / f"{case.digest}.parquet"


def make_folder(out: Path) -> None:
    """Create the folder of the parts, and those above it. OSError where that can't be."""
    (out / _FOLDER).mkdir(parents=True, exist_ok=True)


def write_part(out: Path, finished: Finished) -> None:
    """Keep a case's rows: written aside and renamed, so that a part is whole or absent."""
    _write(part_path(out, finished.case), [_plain(row) for row in finished.rows], _row_schema())


def read_part(out: Path, case: Case) -> tuple[Row, ...] | None:
    """A case's rows; None where it isn't finished, or where what lies there can't be read: then it is run again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = part_path(out, case)
    try:
        # Not pq.read_table: it takes a folder apart by the names in it.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
            rows = table.to_pylist()
    except (OSError, ValueError, pa.ArrowException):
        return None
    if not table.num_rows or not table.schema.equals(_row_schema()):
        return None
    return tuple(Row(**{**row, "weights": dict(row["weights"])}) for row in rows)


def write_results(path: Path, results: Sequence[Finished]) -> None:
    """All rows of all cases in one file, each with its case's trace, loads, budget and seed."""
    import pyarrow as pa

    columns = [
        ("trace", pa.string()),
        ("loads", pa.list_(pa.string())),
        ("load_p50_s", pa.float64()),
        ("late_budget", pa.float64()),
        ("seed", pa.int64()),
        ("bin_s", pa.float64()),
        ("bins", pa.int64()),
        ("scored_bins", pa.int64()),
        ("max_wait_s", pa.float64()),
        ("requests_per_replica", pa.float64()),
        ("digest", pa.string()),
    ]
    extra = [("cost_over_rival", pa.float64()), ("cost_over_optimum", pa.float64())]
    schema = pa.schema([*columns, *_row_schema(), *extra])
    _write(path, [row for finished in results for row in _told(finished)], schema)


def _told(finished: Finished) -> Iterable[dict[str, Any]]:
    case, setting = finished.case, finished.case.setting
    identity = {
        "trace": case.trace,
        "loads": list(case.loads),
        "load_p50_s": setting.load_latency.quantile_s(0.5),
        "late_budget": setting.late_budget,
        "seed": case.seed,
        "bin_s": setting.bin_s,
        "bins": len(setting),
        "scored_bins": len(setting) - setting.score_from_bin,
        "max_wait_s": setting.max_wait_s,
        "requests_per_replica": setting.capacity_rps["requests"],
        "digest": case.digest,
    }
    for row in finished.rows:
        ratios = {"cost_over_rival": row.cost_over_rival, "cost_over_optimum": row.cost_over_optimum}
        yield {**identity, **_plain(row), **ratios}


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "weights": list(row.weights.items())}


def _row_schema() -> pa.Schema:
    """The columns of Row."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "str": pa.string(), "int": pa.int64(), "float": pa.float64()}
    columns = []
    for field in fields(Row):
        kind = str(field.type).removesuffix(" | None")
        columns.append((field.name, types.get(kind, pa.map_(pa.string(), pa.float64()))))
    return pa.schema(columns)


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=schema)
    write_aside(path, lambda aside: pq.write_table(table, aside, write_page_checksum=True))
