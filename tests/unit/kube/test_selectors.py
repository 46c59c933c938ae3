"""Label selectors: the same answers as the API's."""

from __future__ import annotations

import pytest

from autoscaler.kube.selectors import parse_selector, selector_of

LABELS = {"app": "llm", "tier": "gpu", "example.com/team": "a-1", "empty": ""}


@pytest.mark.parametrize(
    "text",
    [
        "app=llm",
        "app==llm,tier=gpu",
        "app = llm , tier != cpu",
        "missing!=x",
        "tier in (cpu, gpu),app=llm",
        "tier notin (cpu),missing notin (x)",
        "app",
        "!missing",
        "example.com/team in (a-1)",
        "empty=",
    ],
)
def test_lines_that_select(text):
    assert parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "app=other",
        "app=llm,tier=cpu",
        "tier!=gpu",
        "tier in (cpu)",
        "tier notin (cpu,gpu)",
        "missing",
        "!app",
        "missing=",
    ],
)
def test_lines_that_do_not(text):
    assert not parse_selector(text).matches(LABELS)


@pytest.mark.parametrize("text", ["", " , ", "app>3", "app in gpu", "a b", "app=(x)", "in (a)"])
def test_what_can_not_be_read_or_selects_everything_is_refused(text):
    with pytest.raises(ValueError, match="selector"):
        parse_selector(text)


def test_an_objects_selector_reads_as_its_line():
    given = {
        "matchLabels": {"app": "llm"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["gpu", "cpu"]},
            {"key": "canary", "operator": "DoesNotExist"},
            {"key": "zone", "operator": "NotIn", "values": ["b"]},
            {"key": "app", "operator": "Exists"},
        ],
    }
    selector = selector_of(given)
    assert selector == parse_selector("app=llm,tier in (gpu,cpu),!canary,zone notin (b),app")
    assert selector.matches(LABELS)
    assert not selector.matches({**LABELS, "canary": "true"})
    assert selector.pairs == (("app", "llm"),)


@pytest.mark.parametrize("given", [{}, {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}])
def test_an_empty_or_unknown_selector_of_an_object_is_refused(given):
    with pytest.raises(ValueError, match="selector"):
        selector_of(given)
