"""Objects from files: edits are taken in, broken ones logged while the old stay."""

from __future__ import annotations

import pytest

from autoscaler.api.yaml_file import load_autoscalers
from autoscaler.controller import config_files
from autoscaler.controller.config_files import ConfigFiles
from autoscaler.errors import UsageError
from autoscaler.telemetry.log import Log

YAML = """\
apiVersion: headstart.dev/v1alpha1
kind: PredictiveAutoscaler
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  maxReplicas: 9
  demand: [{query: "sum(rate(requests_total[1m]))", capacity: 2}]
"""


@pytest.fixture
def reading():
    """Makes a reader of a path, and one call of it that comes after what was written before has settled."""

    def make(path, logged, namespace=None):
        now_s = [0.0]
        files = ConfigFiles(path, Log(logged.append), namespace, monotonic_s=lambda: now_s[0])

        def read():
            files()
            now_s[0] += 1.0
            return files()

        def later(seconds):
            now_s[0] += seconds
            return files()

        read.at_once, read.later = files, later
        return read

    return make


def test_edits_are_taken_in_and_broken_ones_are_not(tmp_path, reading):
    logged = []
    file = tmp_path / "chat.yaml"
    file.write_text(YAML)
    read = reading(tmp_path, logged)
    (before,) = read()
    assert read() == (before,)
    assert read()[0] is before  # not read again without a change
    file.write_text(YAML.replace("maxReplicas: 9", "maxReplicas: 12"))
    assert read()[0].spec.max_replicas == 12
    file.write_text(YAML.replace("maxReplicas: 9", "maxReplicas: none"))
    assert read()[0].spec.max_replicas == 12
    assert "chat.yaml:6" in logged[-1]
    assert "what was read before stays in force" in logged[-1]
    (tmp_path / "code.yaml").write_text(YAML.replace("name: chat, ", "name: code, "))
    file.write_text(YAML)
    assert [each.metadata.name for each in read()] == ["chat", "code"]


def test_a_file_that_is_being_written_is_not_read_yet(tmp_path, reading):
    logged = []
    file = tmp_path / "all.yaml"
    other = YAML.replace("name: chat, ", "name: code, ")
    file.write_text(f"{YAML}---\n{other}")
    read = reading(file, logged)
    with file.open("w") as writing:  # empty from here on
        assert [each.metadata.name for each in read.at_once()] == ["chat", "code"]
        writing.write(YAML)
        writing.flush()
        assert [each.metadata.name for each in read.at_once()] == ["chat", "code"]
        writing.write(f"---\n{other.replace('maxReplicas: 9', 'maxReplicas: 12')}")
    assert [each.spec.max_replicas for each in read()] == [9, 12]
    assert len(logged) == 1


def test_a_file_that_is_wrong_from_the_start_is_refused(tmp_path):
    (tmp_path / "chat.yaml").write_text("kind: [")
    with pytest.raises(UsageError, match="chat.yaml:1"):
        ConfigFiles(tmp_path, Log(lambda line: None))


def test_a_path_that_does_not_exist_is_refused_by_its_name(tmp_path):
    with pytest.raises(UsageError, match="absent: can't be read: No such file or directory"):
        ConfigFiles(tmp_path / "absent", Log(lambda line: None))


def test_a_file_that_goes_keeps_what_was_read_and_one_warning(tmp_path, reading):
    logged = []
    file = tmp_path / "chat.yaml"
    file.write_text(YAML)
    read = reading(file, logged)
    file.unlink()
    assert [read()[0].metadata.name, read()[0].metadata.name] == ["chat", "chat"]
    assert len(logged) == 1
    assert "chat.yaml: can't be read" in logged[0]


def test_what_could_not_be_read_is_read_once_it_can_without_another_change(tmp_path, reading, monkeypatch):
    logged, tries = [], []
    file = tmp_path / "chat.yaml"
    file.write_text(YAML)
    read = reading(tmp_path, logged)
    file.write_text(YAML.replace("maxReplicas: 9", "maxReplicas: 12"))

    def refused(path):
        tries.append(path)
        raise UsageError(f"{path}: can't be read: Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(config_files, "load_autoscalers", refused)
        assert read()[0].spec.max_replicas == 9
        for _ in range(25):
            read.later(1.0)
    assert len(tries) == 1
    assert read.later(5.0)[0].spec.max_replicas == 12
    assert "can't be read: Permission denied; what was read before stays in force" in logged[0]
    assert "read again, 1 object" in logged[1]


def test_a_save_that_begins_while_the_one_before_is_read_is_waited_for(tmp_path, reading, monkeypatch):
    logged = []
    file = tmp_path / "all.yaml"
    other = YAML.replace("name: chat, ", "name: code, ")
    file.write_text(f"{YAML}---\n{other}")
    read = reading(file, logged)
    file.write_text(f"{YAML}---\n{other}# an edit\n")

    def saved_meanwhile(path):
        file.write_text(YAML)  # half of what is being saved
        return load_autoscalers(path)

    with monkeypatch.context() as patched:
        patched.setattr(config_files, "load_autoscalers", saved_meanwhile)
        assert [each.metadata.name for each in read()] == ["chat", "code"]
    file.write_text(f"{YAML}---\n{other.replace('maxReplicas: 9', 'maxReplicas: 12')}")
    assert [each.spec.max_replicas for each in read.at_once()] == [9, 9]
    assert [each.spec.max_replicas for each in read.later(1.0)] == [9, 12]
    assert len(logged) == 1


@pytest.mark.parametrize("left", ["", "apiVersion: v1\nkind: Service\nmetadata: {name: chat}\n", None])
def test_an_edit_that_leaves_no_object_is_not_taken_in_but_told(tmp_path, reading, left):
    logged = []
    file = tmp_path / "chat.yaml"
    file.write_text(YAML)
    read = reading(tmp_path, logged)
    if left is None:
        file.unlink()
    else:
        file.write_text(left)
    (before,) = read()
    assert read.later(3_600.0) == (before,)
    assert f"{tmp_path}: holds no PredictiveAutoscaler any more, as after a save that failed; write it" in logged[0]
    file.write_text(YAML.replace("maxReplicas: 9", "maxReplicas: 12"))
    assert read()[0].spec.max_replicas == 12


def test_a_folder_without_objects_is_told_of(tmp_path):
    logged = []
    assert ConfigFiles(tmp_path, Log(logged.append))() == ()
    assert "holds no PredictiveAutoscaler" in logged[-1]


def test_an_object_of_another_namespace_is_refused_and_later_only_logged(tmp_path, reading):
    logged = []
    file = tmp_path / "chat.yaml"
    file.write_text(YAML)
    with pytest.raises(UsageError, match="llm/chat is outside --namespace other; correct metadata.namespace"):
        ConfigFiles(tmp_path, Log(logged.append), "other")
    read = reading(tmp_path, logged, "llm")
    file.write_text(YAML.replace("namespace: llm", "namespace: elsewhere"))
    assert read()[0].metadata.namespace == "llm"
    assert "llm/chat" not in logged[-1]
    assert "elsewhere/chat is outside --namespace llm" in logged[-1]
