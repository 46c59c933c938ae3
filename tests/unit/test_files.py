"""Aside-and-rename: whole files only, one-line errors, nothing left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from autoscaler.errors import HeadstartError, UsageError
from autoscaler.files import check_outputs, write_aside


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_whole_under_its_name_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "plan.csv"
    write_aside(target, lambda path: path.write_text("a\n"))
    assert target.read_text() == "a\n"
    assert names_in(tmp_path) == ["plan.csv"]


def test_the_writer_sees_a_sibling_with_the_same_ending(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_aside(tmp_path / "plan.csv.gz", seen.append)
    assert seen[0].parent == tmp_path
    assert seen[0].name.endswith("plan.csv.gz")


def test_the_old_file_stays_when_the_writer_fails_half_way(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def write_half(path: Path) -> None:
        path.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_aside(target, write_half)
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["report.html"]


def test_a_full_disk_is_one_line_that_names_the_users_file(tmp_path: Path) -> None:
    def write_to_a_full_disk(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with pytest.raises(HeadstartError, match=r"^\S+/plan.csv: can't be written: No space left on device$"):
        write_aside(tmp_path / "plan.csv", write_to_a_full_disk)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent/plan.csv", "the directory .*/absent does not exist; create it first"),
        ("file/plan.csv", ".*/file is not a directory"),
        ("folder", "is a directory; name a file in it"),
        ("loop", "/loop: can't be written: Too many levels of symbolic links"),
        ("loop/plan.csv", "/loop/plan.csv: can't be written: Too many levels of symbolic links"),
        ("n" * 256, "n: can't be written: File name too long"),
        ("n" * 256 + "/plan.csv", "n/plan.csv: can't be written: File name too long"),
    ],
)
def test_a_place_that_can_not_hold_the_file_is_named_before_anything_is_written(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match=message):
        write_aside(tmp_path / name, lambda _: pytest.fail("the writer was called"))


def test_a_replaced_file_keeps_its_mode_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    old, new, plain = tmp_path / "old", tmp_path / "new", tmp_path / "plain"
    old.touch()
    old.chmod(0o600)
    plain.touch()
    write_aside(old, lambda path: path.write_text("x"))
    write_aside(new, lambda path: path.write_text("x"))
    assert old.stat().st_mode == old.stat().st_mode & ~0o077
    assert new.stat().st_mode == plain.stat().st_mode


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_aside(tmp_path / "link.csv", lambda path: path.write_text("x"))
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "x"


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_aside(Path(os.devnull), lambda path: path.write_text("x"))
    assert Path(os.devnull).is_char_device()


def test_a_name_as_long_as_the_file_system_allows_works(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 251 + ".csv")
    write_aside(target, lambda path: path.write_text("x"))
    assert target.read_text() == "x"


def test_an_output_replaces_neither_the_trace_nor_another_output(tmp_path: Path) -> None:
    trace, plan = tmp_path / "demand.csv", tmp_path / "plan.csv"
    trace.touch()
    (tmp_path / "link.csv").symlink_to(trace)
    check_outputs({"--plan-out": plan, "--json-out": None, "--html-out": tmp_path / "r.html"}, source=trace)
    with pytest.raises(UsageError, match="^--html-out and --plan-out are the same file, .*plan.csv; give each a name"):
        check_outputs({"--plan-out": plan, "--html-out": tmp_path / "." / "plan.csv"}, source=trace)
    with pytest.raises(UsageError, match="^--plan-out and the input are the same file"):
        check_outputs({"--plan-out": tmp_path / "link.csv"}, source=trace)


def test_an_input_that_is_a_circle_of_links_is_left_to_whoever_reads_it(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    check_outputs({"--out": tmp_path / "out.csv"}, source=tmp_path / "loop")
    with pytest.raises(UsageError, match="can't be written: Too many levels of symbolic links$"):
        check_outputs({"--out": tmp_path / "loop"}, source=tmp_path / "loop")


def test_several_outputs_may_go_to_one_device(tmp_path: Path) -> None:
    null = Path("/dev/null")
    check_outputs({"--plan-out": null, "--json-out": null}, source=tmp_path / "demand.csv")
