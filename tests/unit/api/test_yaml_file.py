"""Objects from files: the line of every mistake, other kinds, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.api.yaml_file import FileObject, FileProblem, SkippedObject, load_autoscalers, read_yaml
from autoscaler.errors import UsageError

EXAMPLES = Path(__file__).resolve().parents[3] / "manifests" / "examples"
OBJECT = """\
apiVersion: headstart.dev/v1alpha1
kind: PredictiveAutoscaler
metadata:
  name: {name}
spec:
  scaleTargetRef:
    name: chat
  minReplicas: 12
  maxReplicas: {most}
  demand:
    - query: up
      capacity: 3
"""


def good(name: str = "chat") -> str:
    return OBJECT.format(name=name, most=20)


def write(folder: Path, text: str, name: str = "chat.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def told(path: Path) -> list[str]:
    return [str(each).removeprefix(f"{path}:") for each in read_yaml(path) if isinstance(each, FileProblem)]


def test_a_broken_rule_is_told_at_the_line_of_its_field(tmp_path: Path) -> None:
    path = write(tmp_path, f"# first\n---\n{OBJECT.format(name='chat', most=10)}")
    assert [str(each) for each in read_yaml(path)] == [
        f"{path}:10: spec.minReplicas: must be at most maxReplicas (10), got 12; lower it or raise maxReplicas"
    ]


def test_every_mistake_of_a_file_is_told_in_the_order_of_its_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        good("Chat").replace("  minReplicas: 12\n", "  minReplica: 12\n  interval: 90\n  history: 14d\n  engine:\n")
        + "      capacity: 4\n    - preset: vllm\n---\n"
        + good("other").replace("20", "'20'")
        + "---\na: b: c\n",
    )
    assert told(path) == [
        "4: metadata.name: must be text of the form ^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$, got 'Chat'",
        "8: spec.minReplica: is no field of spec; did you mean minReplicas?",
        "9: spec.interval: must be a duration such as 90s, 1h30m or 336h, got the number 90",
        "10: spec.history: must be a duration such as 336h, got '14d'",
        "16: 'capacity' is given twice; it is on line 15 already",
        "17: spec.demand[1].capacity: is missing; it must be given",
        "27: spec.maxReplicas: must be a whole number, got '20'",
        "32: column 5: not YAML: mapping values are not allowed here",
    ]


def test_no_value_and_a_whole_number_with_a_point_are_read_as_the_api_server_does(tmp_path: Path) -> None:
    text = good().replace("minReplicas: 12", "minReplicas: 12.0\n  engine:\n  interval:")
    (read,) = read_yaml(write(tmp_path, text))
    assert isinstance(read, FileObject)
    assert (read.autoscaler.spec.min_replicas, read.autoscaler.spec.engine) == (12, None)
    assert read.autoscaler.spec.interval == 60.0
    assert told(write(tmp_path, good().replace("maxReplicas: 20", "maxReplicas:"))) == [
        "9: spec.maxReplicas: is missing; it must be given"
    ]


def test_a_mistake_in_one_object_leaves_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, f"{good('a')}---\n{OBJECT.format(name='b', most=1)}---\n{good('c')}")
    found = read_yaml(path)
    assert [type(each) for each in found] == [FileObject, FileProblem, FileObject]
    assert [each.line for each in found] == [1, 21, 27]


def test_other_kinds_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: chat}}\n---\n{good()}")
    skipped, ours = read_yaml(path)
    assert isinstance(skipped, SkippedObject)
    assert (skipped.line, skipped.name) == (1, "Deployment chat")
    assert isinstance(ours, FileObject)
    assert (ours.line, ours.autoscaler.metadata.name) == (5, "chat")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("v1alpha1", "v1", "1: apiVersion: must be headstart.dev/v1alpha1, got 'headstart.dev/v1'"),
        (
            "PredictiveAutoscaler",
            "PredictiveAutoScaler",
            "2: kind: must be PredictiveAutoscaler, got 'PredictiveAutoScaler'",
        ),
        ("kind: PredictiveAutoscaler", "kind: Policy", "2: kind: must be PredictiveAutoscaler, got 'Policy'"),
        ("spec:", "specs:", "5: specs: is no field of the object; did you mean spec?"),
        ("kind: PredictiveAutoscaler\n", "", "1: is no Kubernetes object; it needs apiVersion: headstart.dev/v1alpha1"),
    ],
)
def test_an_object_that_was_meant_for_us_is_not_passed_over(tmp_path: Path, old: str, new: str, message: str) -> None:
    (problem,) = told(write(tmp_path, good().replace(old, new)))
    assert problem.startswith(message)


def test_a_schedule_of_its_own_is_sent_where_it_is_read(tmp_path: Path) -> None:
    (problem,) = told(write(tmp_path, "schedule: []\n"))
    assert problem.endswith("and kind: PredictiveAutoscaler; a schedule of its own is for backtest --schedule")


def test_an_object_without_a_spec_is_told_so(tmp_path: Path) -> None:
    assert told(write(tmp_path, good().partition("spec:")[0])) == ["1: spec: is missing; it must be given"]


def test_a_list_as_kubectl_prints_it_is_read_item_by_item(tmp_path: Path) -> None:
    items = "".join("  - " + good(name).replace("\n", "\n    ").rstrip() + "\n" for name in ("a", "b"))
    path = write(tmp_path, f"apiVersion: v1\nkind: List\nitems:\n{items}")
    assert [(each.line, each.autoscaler.metadata.name) for each in read_yaml(path) if isinstance(each, FileObject)] == [
        (4, "a"),
        (16, "b"),
    ]
    bad = write(tmp_path, path.read_text().replace("maxReplicas: 20", "maxReplicas: 0"), "bad.yaml")
    assert told(bad) == [f"{line}: spec.maxReplicas: must be at least 1, got 0" for line in (12, 24)]


def test_a_name_is_given_once_in_a_folder_and_namespaces_are_apart(tmp_path: Path) -> None:
    write(tmp_path, good(), "a.yaml")
    write(tmp_path, good().replace("name: chat\n", "name: chat\n  namespace: other\n", 1), "b.yml")
    write(tmp_path, good(), "c.yaml")
    found = read_yaml(tmp_path)
    assert [str(each) for each in found if isinstance(each, FileProblem)] == [
        f"{tmp_path}/c.yaml:1: metadata.name: default/chat is at {tmp_path}/a.yaml:1 already; rename or remove one of"
        " them"
    ]


def test_a_folder_is_read_like_a_mounted_config_map(tmp_path: Path) -> None:
    data = tmp_path / "..2026_01_05"
    data.mkdir()
    write(data, good(), "chat.yaml")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "..data").symlink_to(data)
    (folder / "chat.yaml").symlink_to(folder / "..data" / "chat.yaml")
    write(folder, "not: ours", ".hidden.yaml")
    write(folder, "not: ours", "notes.txt")
    assert [each.metadata.name for each in load_autoscalers(folder)] == ["chat"]


def test_the_examples_read_well() -> None:
    assert [(each.metadata.name, str(each.spec.mode)) for each in load_autoscalers(EXAMPLES)] == [
        ("chat", "Floor"),
        ("chat", "Shadow"),
    ]


def test_loading_names_the_first_mistake_and_counts_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, good().replace("20", "0").replace("capacity: 3", "capacity: 0"))
    with pytest.raises(UsageError) as refused:
        load_autoscalers(path)
    assert str(refused.value) == (
        f"{path}:9: spec.maxReplicas: must be at least 1, got 0 (and 1 more; see headstart validate {path})"
    )


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent.yaml: can't be read: No such file or directory"):
        read_yaml(tmp_path / "absent.yaml")
    with pytest.raises(UsageError, match="large.yaml: is larger than 8 MiB; split it"):
        read_yaml(write(tmp_path, "a" * (8 << 20) + "b", "large.yaml"))
