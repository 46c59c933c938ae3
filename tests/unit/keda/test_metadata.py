from __future__ import annotations

import pytest
from keda_client import INLINE

from autoscaler.api.v1alpha1 import Mode
from autoscaler.errors import UsageError
from autoscaler.keda.metadata import Inline, MetadataError, Named, OnMissing, Policy, read_metadata


def read(metadata: dict[str, str], *, namespace: str = "prod", name: str = "chat") -> Named | Inline:
    return read_metadata(namespace, name, metadata)


def read_inline(metadata: dict[str, str], **where: str) -> Inline:
    asked = read(metadata, **where)
    assert isinstance(asked, Inline)
    return asked


def test_a_name_is_in_the_own_namespace_unless_it_says_another() -> None:
    assert read({"predictiveAutoscaler": "llama.v2"}) == Named(("prod", "llama.v2"), Policy())
    assert read({"predictiveAutoscaler": "team-b/llama"}) == Named(("team-b", "llama"), Policy())


def test_all_of_a_workload_can_be_stated_inline() -> None:
    asked = read_inline(
        {
            "serverAddress": "http://prometheus:9090",
            "query": "sum(rate(tokens_total[2m]))",
            "unit": "prompt_tokens",
            "capacityPerReplica": "2.5e3",
            "queueLength": "sum(waiting)",
            "loadLatency": "3m",
            "maxWait": "5s",
            "lateBudget": "0.5%",
            "history": "336h",
            "interval": "30s",
            "timeZone": "Europe/Berlin",
            "minReplicas": "1",
            "maxReplicas": "40",
            "onMissing": "unavailable",
            "maxAge": "5m",
            "hpaTolerance": "0%",
        }
    )
    spec = asked.autoscaler.spec
    assert spec.prometheus is not None
    assert spec.prometheus.server_address == "http://prometheus:9090"
    (demand,) = spec.demand
    assert (demand.query, demand.unit, demand.capacity) == ("sum(rate(tokens_total[2m]))", "prompt_tokens", 2_500.0)
    assert spec.engine is not None
    assert spec.engine.queue_length == "sum(waiting)"
    assert (spec.load_latency.prior, spec.objective.max_wait, spec.objective.late_budget) == (180.0, 5.0, 0.005)
    assert (spec.history, spec.interval, spec.min_replicas, spec.max_replicas) == (1_209_600.0, 30.0, 1, 40)
    assert spec.time_zone == "Europe/Berlin"
    assert asked.policy == Policy(OnMissing.UNAVAILABLE, max_age_s=300.0, hpa_tolerance=0.0)


def test_little_is_enough_and_keda_stays_the_one_writer() -> None:
    asked = read_inline(INLINE)
    assert asked.policy == Policy()
    assert asked.autoscaler.spec.mode is Mode.SHADOW
    assert (asked.autoscaler.spec.min_replicas, asked.autoscaler.spec.max_replicas) == (0, 100)
    assert asked.autoscaler.metadata.name.startswith("chat-keda-")


def test_equal_metadata_is_the_same_object_and_the_keys_of_keda_change_nothing() -> None:
    asked = read_inline(INLINE)
    assert read_inline(dict(reversed(INLINE.items()))) is asked
    of_keda = {"scalerAddress": "headstart:9090", "enableTLS": "true", "useCachedMetrics": "true"}
    assert read_inline(INLINE | of_keda) is asked


@pytest.mark.parametrize(
    "other",
    [
        read_inline(INLINE | {"capacityPerReplica": "4"}),
        read_inline(INLINE | {"maxReplicas": "9"}),
        read_inline(INLINE, name="code"),
        read_inline(INLINE, namespace="team-b"),
    ],
)
def test_another_workload_is_another_object(other: Inline) -> None:
    assert other.key != read_inline(INLINE).key


def test_how_answers_are_made_does_not_make_another_object() -> None:
    assert read_inline(INLINE | {"maxAge": "1h"}).key == read_inline(INLINE).key


def test_the_longest_name_of_a_scaled_object_makes_a_name_that_is_allowed() -> None:
    key = read_inline(INLINE, name="a." * 126 + "a").key
    assert len(key[1]) <= 253


def test_values_from_the_environment_come_under_their_own_key() -> None:
    from_env = {"queryFromEnv": INLINE["query"], "capacityPerReplica": "3", "caCertFromEnv": "x"}
    assert read_inline(from_env) is read_inline(INLINE)
    with pytest.raises(MetadataError, match="queryFromEnv: states query a second time"):
        read(INLINE | {"queryFromEnv": "up"})


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "query: is missing; it must be PromQL for the arrivals per second"),
        ({"query": "up", "capacityPerReplica": " "}, "capacityPerReplica: must be a number above 0"),
        ({"query": "up"}, "capacityPerReplica: is missing; it must be the work per second"),
        ({"query": "  ", "capacityPerReplica": "3"}, "query: is missing"),
        (INLINE | {"capacityPerReplica": "0"}, "capacityPerReplica: must be above 0, got '0'"),
        (INLINE | {"capacityPerReplica": "nan"}, "capacityPerReplica: must be a number above 0, in the query's unit"),
        (INLINE | {"capacityPerReplica": "1e999"}, "got '1e999'"),
        (
            INLINE | {"capacityPerReplica": "1e300"},
            "capacityPerReplica: is out of range; it must be 1e-15 to 1e+15, got '1e300'",
        ),
        (INLINE | {"capacityPerReplica": "٣"}, "capacityPerReplica: must be a number above 0"),
        (INLINE | {"minReplicas": "1.5"}, "minReplicas: must be a whole number, 0 or more, got '1.5'"),
        (INLINE | {"minReplicas": "101"}, "minReplicas: must be at most maxReplicas (100), got '101'"),
        (INLINE | {"maxReplicas": "0"}, "maxReplicas: must be a whole number from 1 to 1,000, got '0'"),
        (INLINE | {"maxReplicas": "1000000"}, "maxReplicas: must be a whole number from 1 to 1,000, got '1000000'"),
        (INLINE | {"lateBudget": "1"}, "lateBudget: must be above 0% and below 100%, got '1'"),
        (INLINE | {"interval": "1500ms"}, "interval: must be in whole hours, minutes and seconds, got '1500ms'"),
        (INLINE | {"history": "14d"}, "history: must be a duration such as 336h, got '14d'"),
        (INLINE | {"history": "30s"}, "history: must be at least one interval (1m), got '30s'"),
        (INLINE | {"serverAddress": "prometheus:9090"}, "serverAddress: must be a URL such as"),
        (INLINE | {"query": "x" * 8_193}, "query: must be at most 8192 characters long, got 'xxx"),
        (INLINE | {"timeZone": "CEST"}, "timeZone: must be an IANA time zone such as Europe/Berlin, got 'CEST'"),
        (INLINE | {"unit": "9"}, "unit: must be text of the form"),
        (INLINE | {"onMissing": "zero"}, "onMissing: must be one of hold, unavailable, got 'zero'"),
        (INLINE | {"maxAge": "0s"}, "maxAge: must be a duration from 1s to 24h, such as 90s or 10m, got '0s'"),
        (INLINE | {"hpaTolerance": "-1"}, "hpaTolerance: must be the tolerance of the HorizontalPodAutoscaler"),
        (INLINE | {"capacity": "3"}, "capacity: is no key of ours; did you mean capacityPerReplica?, got '3'"),
        (INLINE | {"maxreplicas": "3"}, "maxreplicas: is no key of ours; did you mean maxReplicas?"),
        (INLINE | {"threshold": "3"}, "threshold: is no key of ours; they are predictiveAutoscaler, serverAddress"),
        ({"predictiveAutoscaler": "Chat"}, "predictiveAutoscaler: must be the name of a PredictiveAutoscaler"),
        ({"predictiveAutoscaler": "a/b/c"}, "predictiveAutoscaler: must be the name of a PredictiveAutoscaler"),
        ({"predictiveAutoscaler": ""}, "predictiveAutoscaler: must be the name of a PredictiveAutoscaler"),
        ({"predictiveAutoscaler": "chat", "query": "up"}, "query: is stated by the object that predictiveAutoscaler"),
        ({"predictiveAutoscaler": "chat", "maxage": "5m"}, "maxage: is no key of ours; did you mean maxAge?"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key_its_value_and_what_is_allowed(metadata: dict[str, str], said: str) -> None:
    with pytest.raises(MetadataError) as raised:
        read(metadata)
    text = str(raised.value)
    assert said in text
    assert text.startswith("trigger metadata ")
    assert "\n" not in text
    assert len(text) < 700
    assert isinstance(raised.value, UsageError)


@pytest.mark.parametrize(
    ("namespace", "name", "key"), [("", "chat", "namespace"), ("prod", "Chat!", "name"), ("prod", "", "name")]
)
def test_a_scaled_object_without_a_proper_name_is_refused(namespace: str, name: str, key: str) -> None:
    with pytest.raises(MetadataError) as raised:
        read(INLINE, namespace=namespace, name=name)
    assert raised.value.key == key


@pytest.mark.parametrize("metadata", [INLINE, {"predictiveAutoscaler": "chat"}])
def test_a_scaled_objects_name_is_no_longer_than_any_is_for_it_stays_in_memory(metadata: dict[str, str]) -> None:
    read(metadata, name="x" * 253)
    with pytest.raises(MetadataError, match="name, of at most 253 characters"):
        read(metadata, name="x" * 254)
