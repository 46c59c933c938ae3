"""Pods by label: the same as looking at all of them."""

from __future__ import annotations

from fake_api.objects import pod
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.kube.parse import LabelledPod, parse_pod
from autoscaler.kube.pod_index import PodIndex
from autoscaler.kube.selectors import parse_selector

NAMES = st.sampled_from("abcd")
LABELS = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from("xy"), max_size=2)
STEPS = st.lists(st.tuples(st.sampled_from(("put", "drop", "replace")), st.sampled_from(("n1", "n2")), NAMES, LABELS))
SELECTORS = ("app=x", "app=x,tier=y", "tier in (x,y)", "!tier", "app,tier!=x")


def labelled(name: str, labels: dict[str, str]) -> LabelledPod:
    return LabelledPod(parse_pod(pod(name)).pod, labels)


@given(STEPS)
def test_whatever_happens_it_finds_what_a_look_at_all_pods_finds(steps):
    index, plain = PodIndex(), {}
    for step, namespace, name, labels in steps:
        key, fact = (namespace, name), labelled(name, labels)
        if step == "put":
            index.put(key, fact)
            plain[key] = fact
        elif step == "drop":
            index.drop(key)
            plain.pop(key, None)
        else:
            plain = {key: fact}
            index.replace(plain)
        for text in SELECTORS:
            selector = parse_selector(text)
            wanted = sorted(
                each.pod.name for (where, _), each in plain.items() if where == "n1" and selector.matches(each.labels)
            )
            assert [found.name for found in index.selected("n1", selector)] == wanted


def test_places_of_pods_that_are_gone_take_no_memory():
    index = PodIndex()
    for i in range(100):
        index.put(("team", f"p{i}"), labelled(f"p{i}", {"pod-template-hash": str(i)}))
        index.drop(("team", f"p{i}"))
    assert (index._places, index._namespaces, index._pods) == ({}, {}, {})
