"""The Dockerfile: what it copies is there, and the manifests agree with it. No image is built here."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

from manifest_rights import MANIFESTS, documents

ROOT = Path(__file__).resolve().parents[3]
IMAGE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")


def instructions(name: str, *, stage: int | None = None) -> list[str]:
    """What follows an instruction, in all stages or in one."""
    stages = re.split(r"^(?=FROM )", IMAGE, flags=re.MULTILINE)[1:]
    text = IMAGE if stage is None else stages[stage]
    return re.findall(rf"^{name} (.*)$", text, flags=re.MULTILINE)


def variables(stage: int) -> dict[str, str]:
    return dict(pair.split("=", 1) for line in instructions("ENV", stage=stage) for pair in shlex.split(line))


def pod() -> dict[str, Any]:
    (deployment,) = documents(MANIFESTS / "base" / "deployment.yaml")
    return dict(deployment["spec"]["template"]["spec"])


def sent_to_the_builder(path: str) -> bool:
    """Whether .dockerignore, which excludes all and then names what is wanted, lets a path through."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    return path in {line[1:] for line in lines if line.startswith("!")}


def test_every_source_exists_and_is_sent_to_the_builder() -> None:
    copied = [source for line in instructions("COPY", stage=0) for source in line.split()[:-1]]
    assert len(copied) == 7
    for source in copied:
        assert (ROOT / source).exists(), source
        assert sent_to_the_builder(source), source


def test_the_wheel_finds_all_that_it_is_made_of() -> None:
    copied = {source for line in instructions("COPY", stage=0) for source in line.split()[:-1]}
    project = (ROOT / "pyproject.toml").read_text()
    (only,) = re.findall(r"\[tool\.hatch\.build\.targets\.wheel\]\nonly-include = \[(.*)\]", project)
    assert set(re.findall(r'"(.*?)"', only)) | {"README.md", "LICENSE"} <= copied


def test_the_final_stage_takes_nothing_but_the_environment() -> None:
    assert instructions("COPY", stage=1) == ["--from=builder /opt/headstart /opt/headstart"]
    assert not any("pip install" in line or "apt" in line for line in instructions("RUN", stage=1))


def test_kernels_are_loaded_for_the_processor_that_they_were_compiled_for() -> None:
    for name in ("NUMBA_CPU_NAME", "NUMBA_CACHE_DIR"):
        assert variables(0)[name] == variables(1)[name]
    assert variables(1)["NUMBA_CPU_NAME"] == "generic"


def test_the_pod_copies_the_images_kernels_to_where_it_loads_them_from() -> None:
    (initial,), (container,) = pod()["initContainers"], pod()["containers"]
    *_, source, target = initial["command"]
    kernels = {each["name"]: each["value"] for each in container["env"] if "value" in each}["NUMBA_CACHE_DIR"]
    assert (source, target) == (f"{variables(1)['NUMBA_CACHE_DIR']}/.", kernels)
    for one in (initial, container):
        assert {"name": "kernels", "mountPath": kernels} in one["volumeMounts"]


def test_the_functions_that_the_build_calls_exist() -> None:
    (step,) = [line for line in instructions("RUN", stage=0) if "import" in line]
    ((module, name),) = re.findall(r"from ([\w.]+) import (\w+)", step)
    assert callable(getattr(importlib.import_module(module), name))
    assert (ROOT / re.findall(r"--simulate (\S+)", step)[0]).is_file()


def test_the_user_is_the_same_in_the_image_and_in_the_pod() -> None:
    (user,) = instructions("USER")
    context = pod()["securityContext"]
    assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert context["runAsNonRoot"]


def test_the_base_image_is_pinned_and_of_the_python_that_the_project_supports() -> None:
    ((version,),) = [re.findall(r"PYTHON=(\d+\.\d+)\.\d+-slim-bookworm", line) for line in instructions("ARG")]
    assert f'requires-python = ">={version}"' in (ROOT / "pyproject.toml").read_text()
    assert instructions("FROM") == ["python:${PYTHON} AS builder", "python:${PYTHON}"]
