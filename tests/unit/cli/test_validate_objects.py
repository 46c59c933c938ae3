"""`headstart validate` on objects, and `headstart crd`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from autoscaler.cli.app import run

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = ROOT / "manifests" / "examples" / "minimal.yaml"
FULL = ROOT / "manifests" / "examples" / "full.yaml"


@pytest.fixture(autouse=True)
def before_the_examples_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.cli.validate_objects.time", lambda: datetime(2027, 1, 1, tzinfo=UTC).timestamp())


def changed(path: Path, old: str, new: str, source: Path = MINIMAL) -> Path:
    text = source.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_validate_says_what_each_object_will_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(MINIMAL), str(FULL)]) == 0
    printed = capsys.readouterr()
    assert printed.out == (
        f"{MINIMAL}:2: default/chat: mode Shadow, Deployment chat: decides on 1 to 10 replicas every 1m and writes"
        " nothing; 3.2 requests/s per replica; at most 1% later than 10s\n"
        f"{FULL}:2: inference/chat: mode Floor, Deployment chat-vllm: sets the minimum of its ScaledObject or"
        " HorizontalPodAutoscaler every 1m, 2 to 24 replicas, within GPU budget h100, 2 GPUs each; 3.2 requests/s,"
        " 9000 prompt_tokens/s per replica; at most 1% later than 10s\n"
    )
    assert printed.err == ""


def test_a_mistake_is_one_line_on_standard_error_and_the_rest_is_still_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = changed(tmp_path / "bad.yaml", "maxReplicas: 10", "maxReplicas: 10\n  minReplicas: 12")
    assert run(["validate", str(bad), str(MINIMAL), str(ROOT / "data" / "chat.csv")]) == 2
    printed = capsys.readouterr()
    assert printed.err == (
        f"{bad}:10: spec.minReplicas: must be at most maxReplicas (10), got 12; lower it or raise maxReplicas\n"
    )
    assert [line.partition(": ")[0] for line in printed.out.splitlines()] == [
        f"{MINIMAL}:2",
        f"{ROOT}/data/chat.csv",
    ]


def test_other_kinds_are_noted_and_a_file_of_only_those_is_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "apiVersion: v1\nkind: Service\nmetadata: {name: chat}\n"
    both = tmp_path / "both.yaml"
    both.write_text(f"{other}---\n{MINIMAL.read_text()}")
    assert run(["validate", str(both)]) == 0
    assert capsys.readouterr().err == f"{both}:1: Service chat: skipped\n"
    alone = tmp_path / "alone.yaml"
    alone.write_text(other)
    assert run(["validate", str(alone)]) == 2
    assert capsys.readouterr().err == f"{alone}: holds no PredictiveAutoscaler, only Service chat\n"


def test_warnings_leave_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(tmp_path / "scale.yaml", "  maxReplicas", "  mode: Scale\n  history: 24h\n  maxReplicas")
    assert run(["validate", str(path)]) == 0
    warnings = capsys.readouterr().err.splitlines()
    assert [line.partition(": warning: ")[2][:15] for line in warnings] == ["mode Scale sets", "history 24h is "]
    assert all(line.startswith(f"{path}:2: warning: ") for line in warnings)


def test_an_event_that_is_over_is_a_warning_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = "{name: NAME, at: 'YEAR-03-02T17:00:00+01:00', duration: 3h, expect: 3x}"
    events = "".join(f"    - {event.replace('NAME', f'in-{y}').replace('YEAR', y)}\n" for y in ("2027", "2026"))
    path = changed(tmp_path / "past.yaml", "  maxReplicas", f"  schedule:\n{events}  maxReplicas")
    assert run(["validate", str(path)]) == 0
    assert capsys.readouterr().err == (
        f"{path}:2: warning: spec.schedule[1].at (line 11): in-2026 ended at 2026-03-02T19:00:00Z; give it a new time"
        " or remove it\n"
    )


def test_what_a_preset_cannot_tell_is_told_at_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = next(line for line in MINIMAL.read_text().splitlines() if "query:" in line)
    preset = "    - unit: prompt_tokens\n      selector: job\n      preset: triton"
    unit = changed(tmp_path / "unit.yaml", query, preset.replace("      selector: job\n", ""))
    selector = changed(tmp_path / "selector.yaml", query, preset.replace("prompt_tokens", "requests"))
    assert run(["validate", str(unit), str(selector)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{unit}:11: spec.demand[0].unit: preset triton has no query for prompt_tokens")
    assert second.startswith(f"{selector}:12: spec.demand[0].selector: 'job' holds no label matchers")


def test_a_query_of_completions_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = changed(tmp_path / "served.yaml", "gateway_requests_total", "vllm:request_success_total")
    assert run(["validate", str(path)]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"{path}:2: warning: spec.demand[0]: vllm:request_success_total counts what the engine")


def test_two_writers_of_one_workload_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = changed(tmp_path / "a.yaml", "  maxReplicas", "  mode: Floor\n  maxReplicas")
    changed(tmp_path / "b.yaml", "name: chat\nspec", "name: second\nspec", first)
    changed(tmp_path / "c.yaml", "name: chat\nspec", "name: third\nspec", MINIMAL)
    assert run(["validate", str(tmp_path)]) == 0
    assert capsys.readouterr().err == (
        f"{tmp_path}/b.yaml:2: warning: chat at {first}:2 writes Deployment chat too; put one of the two in mode"
        " Shadow\n"
    )


def test_validate_gives_json_for_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = changed(tmp_path / "bad.yaml", "maxReplicas: 10", "maxReplicas: ten")
    absent = tmp_path / "absent.yaml"
    assert run(["validate", "--json", str(FULL), str(bad), str(absent)]) == 2
    printed = capsys.readouterr()
    good, wrong, missing = json.loads(printed.out)
    assert printed.err == ""
    assert (good["usable"], good["namespace"], good["name"], good["mode"]) == (True, "inference", "chat", "Floor")
    assert (good["target"], good["warnings"], good["line"]) == ("Deployment chat-vllm", [], 2)
    assert (wrong["usable"], wrong["line"]) == (False, 9)
    assert wrong["error"] == f"{bad}:9: spec.maxReplicas: must be a whole number, got 'ten'"
    assert missing["error"] == f"{absent}: can't be read: No such file or directory"


def test_crd_prints_the_definition_and_its_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["crd"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["name"] == "predictiveautoscalers.headstart.dev"
    assert run(["crd", "--reference"]) == 0
    assert "| `spec.objective.lateBudget` | share | `1%` |" in capsys.readouterr().out


def test_objects_are_checked_without_the_heavy_packages() -> None:
    heavy = ["kubernetes", "matplotlib", "numba", "pandas", "prometheus_api_client", "pyarrow", "sklearn"]
    program = (
        "import sys\nfrom autoscaler.cli.app import run\n"
        f"code = run(['validate', {str(MINIMAL)!r}]) or run(['crd'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "[]\n")


def test_a_folder_of_traces_is_told_how_to_give_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "demand.csv").write_text("timestamp,requests\n0,1\n60,2\n")
    assert run(["validate", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path}: holds no .yaml or .yml file, and folders in it aren't looked into; give traces one by one, as in"
        f" {tmp_path}/*.csv\n"
    )


@pytest.mark.parametrize(
    ("prometheus", "said"),
    [
        ("{serverAddress: 'http://p/api/v1'}", "spec.prometheus.serverAddress: http://p/api/v1: leave out '/api/v1'"),
        ("{serverAddress: 'http://p', headers: {X-Id: \"a\\nb\"}}", "the value of X-Id must be printable ASCII"),
        ("{serverAddress: 'http://p', headers: {X Id: a}}", "spec.prometheus.headers: 'X Id' is no name of a header"),
    ],
)
def test_what_no_server_can_be_asked_with_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prometheus: str, said: str
) -> None:
    bad = changed(tmp_path / "bad.yaml", "maxReplicas: 10", f"maxReplicas: 10\n  prometheus: {prometheus}")
    assert run(["validate", str(bad)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"{bad}:")
    assert said in err


def test_a_field_without_a_value_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = changed(tmp_path / "odd.yaml", "maxReplicas: 10", "maxReplicas: 10.0\n  engine:")
    assert run(["validate", str(odd)]) == 0
    assert "warning: spec.engine (line " in (err := capsys.readouterr().err)
    assert err.endswith("): has no value, and counts as absent\n")
