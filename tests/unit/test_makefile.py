"""The Makefile and the tests mean the same folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cluster import binaries

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("target", ["control-plane", "keda"])
def test_what_a_target_builds_is_where_the_tests_look_for_it(
    target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # macOS has none, and every target asks for the digest.
    shadow(monkeypatch, tmp_path, "sha256sum", "exit 127")
    planned = make("--dry-run", target)
    assert planned.returncode == 0, planned.stderr
    assert planned.stderr == ""
    assert f'&& mv -T "$partial" {binaries.built_folder(target)}\n' in planned.stdout


@pytest.mark.parametrize("target", ["control-plane", "keda"])
def test_a_go_that_is_too_old_is_told_in_one_line(target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shadow(monkeypatch, tmp_path, "go", "echo go version go1.19.8 linux/amd64")
    done = make(target)
    assert done.returncode == 2
    line, _ = done.stderr.splitlines()
    assert line.startswith(f"make {target} needs Go 1.26 or newer, and there is none")


def shadow(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, body: str) -> None:
    """Let a script stand before the program of that name."""
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", f"--directory={ROOT}", f"PYTHON={sys.executable}", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # Of a make that runs the tests.
        env={name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}},
    )
