"""Objects from files: edits are taken in, broken ones logged while the old stay."""

from __future__ import annotations

import pytest

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

        read.at_once = files
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
