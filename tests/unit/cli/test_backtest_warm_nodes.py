"""`headstart backtest --node-latency --placeholders`: a row more, with what placeholders cost; or one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoscaler.cli.app import run


def backtest(folder: Path, *more: str) -> int:
    file = folder / "trace.csv"
    rows = (f"{t * 600},{1800 * (2 + t % 144 // 36)}\n" for t in range(3 * 144))
    file.write_text("timestamp,requests\n" + "".join(rows))
    known = ["--capacity", "1", "--load-latency", "10m", "--against", "none", "--json-out", str(folder / "out.json")]
    return run(["backtest", str(file), *known, "--json", *more])


def policies(folder: Path) -> dict[str, dict[str, object]]:
    found = json.loads((folder / "out.json").read_text())
    return {name: {**row["settings"], "hours": row["replica_hours"]} for name, row in found["policies"].items()}


def test_headstart_is_replayed_with_and_without_placeholders_and_their_cost_is_told(tmp_path):
    assert backtest(tmp_path, "--node-latency", "20m", "--placeholders", "5") == 0
    rows = policies(tmp_path)
    assert list(rows) == ["headstart", "headstart-warm-nodes", "optimum"]
    warm = rows["headstart-warm-nodes"]
    assert (warm["node_provisioning"], warm["load_on_ready_node"], warm["placeholders_max"]) == ("1200s", "600s", 5)
    assert 0 < warm["placeholder_hours"] < warm["hours"]
    settings = json.loads((tmp_path / "out.json").read_text())["settings"]
    assert settings["load_latency"] == "1200s and 600s"


def test_a_nodes_time_alone_is_part_of_every_load(tmp_path):
    assert backtest(tmp_path, "--node-latency", "20m") == 0
    with_node = policies(tmp_path)
    assert list(with_node) == ["headstart", "optimum"]
    assert backtest(tmp_path) == 0
    assert with_node["optimum"]["hours"] > policies(tmp_path)["optimum"]["hours"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--placeholders", "5"), "--placeholders: keeps nodes warm; say with --node-latency how long one takes"),
        (
            ("--placeholders", "5", "--node-latency", "4m", "--fidelity", "request"),
            "--placeholders: are replayed in counts per bin only",
        ),
        (("--node-latency", "soon"), "'soon'"),
    ],
)
def test_what_is_asked_in_vain_is_one_line(tmp_path, capsys, more, said):
    if "request" in more:
        more = (*more, "--concurrency", "4", "--prefill-speed", "8000", "--decode-speed", "40")
    assert backtest(tmp_path, *more) == 2
    error = capsys.readouterr().err
    assert said in error
