"""YAML by Kubernetes' rules, with lines, and bounded whatever the file says."""

from __future__ import annotations

import pytest

from autoscaler.api.yaml_nodes import Document, Mistake, read_documents


def only(text: str) -> Document:
    (document,) = read_documents(text.encode())
    assert isinstance(document, Document)
    return document


def mistakes(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for each in read_documents(text.encode()):
        found += (
            [(each.line, each.message)] if isinstance(each, Mistake) else [(m.line, m.message) for m in each.mistakes]
        )
    return found


def test_scalars_are_read_as_kubernetes_reads_them() -> None:
    document = only("{a: 1e3, b: 2024-01-01, c: 0x10, d: 'true', e: true, f: , g: 1.5, 8080: port, h: =}")
    assert document.value == {
        "a": 1000.0,
        "b": "2024-01-01",
        "c": 16,
        "d": "true",
        "e": True,
        "f": None,
        "g": 1.5,
        "8080": "port",
        "h": "=",
    }


def test_a_path_has_the_line_of_its_key_or_of_what_is_nearest_above() -> None:
    document = only("a: 1\nb:\n  c:\n    - d: 1\n    - d: 2\n      e: 3\n")
    lines = {path: document.line_of(path) for path in [("b", "c", 1, "e"), ("b", "c", 1, "x"), ("x",), ("b", "c", 7)]}
    assert lines == {("b", "c", 1, "e"): 6, ("b", "c", 1, "x"): 5, ("x",): 1, ("b", "c", 7): 3}


def test_an_anchor_is_repeated_and_a_merged_key_gives_way_and_keeps_its_line() -> None:
    document = only("base: &base\n  a: 1\n  b: 2\nnear:\n  <<: *base\n  b: 3\nlist: [*base]\n")
    assert document.value["near"] == {"a": 1, "b": 3}
    assert document.value["list"] == [{"a": 1, "b": 2}]
    assert (document.line_of(("near", "a")), document.line_of(("near", "b"))) == (2, 6)
    assert document.mistakes == ()


def test_the_first_of_several_merged_mappings_wins() -> None:
    document = only("x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}\n")
    assert document.value["z"] == {"a": 1, "b": 2}


def test_a_duplicate_key_is_a_mistake_with_both_lines_and_the_first_counts() -> None:
    document = only("a: 1\nb: 2\na: 3\n")
    assert [(each.line, each.message) for each in document.mistakes] == [
        (3, "'a' is given twice; it is on line 1 already")
    ]
    assert document.value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: c: d\n", 2, "column 5: not YAML: mapping values are not allowed here"),
        ("a: [1,\n", 2, "column 1: not YAML: expected the node content, but found '<stream end>'"),
        ("a: 1\n\tb: 2\n", 2, "column 1: not YAML: found character '\\t' that cannot start any token"),
        ("a: 1\nb: *nowhere\n", 2, "column 4: not YAML: found undefined alias 'nowhere'"),
        ("a: 1\nb: \x01\n", 2, "not YAML: special characters are not allowed"),
        (
            "a: 1\nb: !!python/object:os.system {}\nc: !secret x\n",
            3,
            "has the tag !secret, which a manifest can't have",
        ),
        ("a: 1\n? [b]\n: 1\n", 2, "is a key that is not text"),
        ("a: 0b_\n", 1, "'0b_' is not a number"),
        ("a: &a {b: 1}\nc: {<<: 3}\n", 2, "'<<' merges mappings only"),
    ],
)
def test_what_is_not_a_manifest_is_told_with_its_line(text: str, line: int, message: str) -> None:
    assert mistakes(text) == [(line, message)]


def test_bytes_that_are_not_text_are_told_with_their_line() -> None:
    (mistake,) = read_documents(b"a: 1\nb: \xff\n")
    assert isinstance(mistake, Mistake)
    assert (mistake.line, mistake.message) == (2, "is not UTF-8 text; save it as UTF-8")


def test_documents_before_a_mistake_are_read_and_empty_ones_are_left_out() -> None:
    found = list(read_documents(b"---\n---\na: 1\n---\n# nothing\n---\nb: [\n"))
    assert [each.value for each in found if isinstance(each, Document)] == [{"a": 1}]
    assert [each.line for each in found if isinstance(each, Mistake)] == [8]


def test_aliases_of_aliases_are_cut_off() -> None:
    levels = "".join(f"l{at}: &l{at} [{', '.join([f'*l{at - 1}'] * 9)}]\n" for at in range(1, 40))
    assert mistakes(f"l0: &l0 x\n{levels}") == [(1, "holds more than 100,000 values, aliases included")]


def test_merges_of_merges_cost_no_more_than_what_they_hold() -> None:
    levels = "".join(f"m{at}: &m{at} {{<<: [{', '.join([f'*m{at - 1}'] * 9)}]}}\n" for at in range(1, 40))
    document = only(f"m0: &m0 {{a: 1}}\n{levels}")
    assert (document.value["m39"], document.mistakes) == ({"a": 1}, ())


@pytest.mark.parametrize("text", ["a: &a [*a, *a]\n", "a: &a {b: *a}\n"])
def test_what_holds_itself_ends(text: str) -> None:
    assert (1, "is nested deeper than 100 levels") in mistakes(text)


def test_what_merges_itself_ends() -> None:
    assert only("a: &a\n  <<: *a\n  b: 1\n").value == {"a": {"b": 1}}


@pytest.mark.parametrize("depth", [200, 20_000])
def test_deep_nesting_is_a_mistake_and_no_traceback(depth: int) -> None:
    assert mistakes("[" * depth + "]" * depth) == [(1, "is nested deeper than 100 levels")]
