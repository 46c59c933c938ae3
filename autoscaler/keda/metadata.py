"""What a trigger's metadata asks for: one of our objects by name, or a whole object in a few keys.

KEDA passes all of the trigger's metadata, its own keys included, and `queryFromEnv` under that name with the value it
found. All values are text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from autoscaler.api.problems import Path, Problem, problems_of
from autoscaler.api.scalars import parse_duration_s, parse_share
from autoscaler.api.v1alpha1 import API_VERSION, KIND, PredictiveAutoscaler
from autoscaler.errors import UsageError, shown
from autoscaler.keda.board import Key

NAME = "predictiveAutoscaler"
# The HorizontalPodAutoscaler clamps to the ScaledObject's maxReplicaCount anyway; this is that field's default.
REPLICAS_MAX = 100
# Each replica of what a trigger describes is gone through with every tick.
INLINE_REPLICAS_MAX = 1_000
MAX_AGE_S = 600.0
HPA_TOLERANCE = 0.1

# Read by KEDA itself, this version or another, and passed on to us all the same.
_OF_KEDA = frozenset(
    {
        "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsCertFile", "tlsClientCert", "tlsClientKey",
        "metricType", "metricName", "useCachedMetrics", "triggerIndex",
    }
)  # fmt: skip
_FROM_ENV = "FromEnv"
_NUMBER_LENGTH_MAX = 32
_COMPARED_MAX = 60
_NAME_LENGTH_MAX = 253  # Kubernetes' own


class OnMissing(StrEnum):
    """What is answered while no usable decision is there."""

    HOLD = "hold"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Policy:
    """How decisions become answers.

    Attributes:
        on_missing: whether the last usable decision is held, up to `max_age_s`, or KEDA gets an error at once.
        max_age_s: the oldest decision that is answered with.
        hpa_tolerance: the change that the HorizontalPodAutoscaler ignores, as a share.
    """

    on_missing: OnMissing = OnMissing.HOLD
    max_age_s: float = MAX_AGE_S
    hpa_tolerance: float = HPA_TOLERANCE


@dataclass(frozen=True, slots=True)
class Named:
    """The trigger names an object of ours."""

    key: Key
    policy: Policy


@dataclass(frozen=True, slots=True)
class Inline:
    """The trigger describes the workload itself; the object is made from it, and its name says from what."""

    autoscaler: PredictiveAutoscaler
    policy: Policy

    @property
    def key(self) -> Key:
        """The object's name."""
        return (self.autoscaler.metadata.namespace, self.autoscaler.metadata.name)


class MetadataError(UsageError):
    """A trigger's metadata can't be used.

    Attributes:
        key: which entry.
        value: what it holds; None where it is missing.
        allowed: what it may hold, and what to do.
    """

    def __init__(self, key: str, value: str | None, allowed: str) -> None:
        self.key = key
        self.value = value
        self.allowed = allowed
        got = "" if value is None else f", got {shown(value)}"
        super().__init__(f"trigger metadata {_shown_name(key)}: {allowed}{got}")


def read_metadata(namespace: str, name: str, metadata: Mapping[str, str]) -> Named | Inline:
    """What the trigger of a ScaledObject asks for. Equal metadata gives the same object; it costs microseconds then.

    Args:
        namespace: of the ScaledObject.
        name: of the ScaledObject.
        metadata: its trigger's, as KEDA passes it.

    Raises:
        MetadataError: anything in it is wrong; the first that is.
    """
    stated = {key: value for key, value in metadata.items() if key not in _OF_KEDA}
    for key in [key for key in stated if key.endswith(_FROM_ENV)]:
        plain = key.removesuffix(_FROM_ENV)
        if plain in stated:
            raise MetadataError(key, stated[key], f"states {_shown_name(plain)} a second time; remove one of them")
        if plain in _OF_KEDA:
            del stated[key]
        else:
            stated[plain] = stated.pop(key)
    return _read(namespace, name, tuple(sorted(stated.items())))


# Errors aren't kept, and what is usable is at most some 11 kB: two entries for each guest, 40 MB if all are that long.
@lru_cache(maxsize=4_096)
def _read(namespace: str, name: str, stated: tuple[tuple[str, str], ...]) -> Named | Inline:
    if not re.fullmatch(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", namespace):
        raise MetadataError("namespace", namespace, "must be the ScaledObject's namespace, as KEDA sends it")
    if len(name) > _NAME_LENGTH_MAX:
        raise MetadataError("name", name, f"must be the ScaledObject's name, of at most {_NAME_LENGTH_MAX} characters")
    given = dict(stated)
    policy = Policy(
        on_missing=OnMissing(_one_of(given, "onMissing", tuple(OnMissing), OnMissing.HOLD)),
        max_age_s=_duration_s(given, "maxAge", MAX_AGE_S, least_s=1.0, most_s=86_400.0),
        hpa_tolerance=_tolerance(given),
    )
    rest = {key: value for key, value in given.items() if key not in _POLICY}
    if NAME not in rest:
        return Inline(_inline(namespace, name, rest), policy)
    for key, value in rest.items():
        if key != NAME:
            _refuse_unknown(key, value)
            raise MetadataError(
                key, value, f"is stated by the object that {NAME} names; remove it, or remove {NAME} and state all here"
            )
    return Named(_named_key(namespace, rest[NAME]), policy)


def _named_key(namespace: str, value: str) -> Key:
    match = re.fullmatch(r"(?:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)/)?([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)", value)
    if match is None:
        raise MetadataError(NAME, value, f"must be the name of a {KIND}, such as chat, or NAMESPACE/NAME")
    return (match[1] or namespace, match[2])


def _number(given: str) -> float:
    number = float(given) if len(given) <= _NUMBER_LENGTH_MAX and re.fullmatch(r"[0-9.eE+-]+", given) else math.nan
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(given: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", given):
        raise ValueError
    return int(given)


def _replicas_max(given: str) -> int:
    if not 1 <= (number := _whole(given)) <= INLINE_REPLICAS_MAX:
        raise ValueError
    return number


def _text(given: str) -> str:
    return given


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a key of an inline object goes, how its text reads, and what to say if it doesn't."""

    path: Path
    read: Callable[[str], Any]
    allowed: str = ""


# Durations, shares and queries are read by the object's own model, whose words say what is allowed.
_INLINE = {
    "serverAddress": _Field(("prometheus", "serverAddress"), _text),
    "query": _Field(("demand", 0, "query"), _text),
    "unit": _Field(("demand", 0, "unit"), _text),
    "capacityPerReplica": _Field(("demand", 0, "capacity"), _number, "must be a number above 0, in the query's unit"),
    "queueLength": _Field(("engine", "queueLength"), _text),
    "loadLatency": _Field(("loadLatency", "prior"), _text),
    "maxWait": _Field(("objective", "maxWait"), _text),
    "lateBudget": _Field(("objective", "lateBudget"), _text),
    "history": _Field(("history",), _text),
    "interval": _Field(("interval",), _text),
    "timeZone": _Field(("timeZone",), _text),
    "minReplicas": _Field(("minReplicas",), _whole, "must be a whole number, 0 or more"),
    "maxReplicas": _Field(("maxReplicas",), _replicas_max, f"must be a whole number from 1 to {INLINE_REPLICAS_MAX:,}"),
}
_REQUIRED = {
    "query": "is missing; it must be PromQL for the arrivals per second, such as"
    " sum(rate(gateway_requests_total[2m])), unless predictiveAutoscaler names an object",
    "capacityPerReplica": "is missing; it must be the work per second that one ready replica sustains, above 0",
}
_POLICY = ("onMissing", "maxAge", "hpaTolerance")
KEYS = (NAME, *_INLINE, *_POLICY)


def _inline(namespace: str, name: str, given: Mapping[str, str]) -> PredictiveAutoscaler:
    spec: dict[str, Any] = {
        "minReplicas": 0,
        "maxReplicas": REPLICAS_MAX,
        "scaleTargetRef": {"name": name},
        "demand": [{}],
    }
    for key, value in given.items():
        _refuse_unknown(key, value)
        field = _INLINE[key]
        try:
            _put(spec, field.path, field.read(value))
        except ValueError:
            raise MetadataError(key, value, field.allowed) from None
    for key, allowed in _REQUIRED.items():
        if not given.get(key, "").strip():
            raise MetadataError(key, None, allowed)
    return _object(namespace, name, spec, given)


def _object(namespace: str, name: str, spec: Mapping[str, Any], given: Mapping[str, str]) -> PredictiveAutoscaler:
    # Named by what it says: an edited trigger is another object, and two triggers of one ScaledObject don't mix.
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:10]
    metadata = {"namespace": namespace, "name": f"{name[:230].rstrip('.-')}-keda-{digest}", "uid": f"keda-{digest}"}
    # Each is a target of its own: nobody here sees the ScaledObject's.
    own = {**spec, "scaleTargetRef": {"name": metadata["name"]}}
    manifest = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": own}
    try:
        return PredictiveAutoscaler.from_manifest(manifest)
    except ValidationError as error:
        raise _in_words(problems_of(error, PredictiveAutoscaler), name, given) from None


def _in_words(problems: tuple[Problem, ...], name: str, given: Mapping[str, str]) -> MetadataError:
    """The first thing wrong with an object, at the key that it comes from."""
    for problem in problems:
        for key, field in _INLINE.items():
            if problem.path == ("spec", *field.path):
                # The model's words end with what was given, in its own form: the trigger's is shown instead.
                return MetadataError(key, given.get(key), re.sub(r",? got .*$", "", problem.message, flags=re.DOTALL))
    return MetadataError("name", name, "must be the ScaledObject's name, of small letters, digits, '-' and '.'")


def _put(spec: dict[str, Any], path: Path, value: object) -> None:
    *above, last = path
    place: Any = spec
    for part in above:
        place = place[part] if isinstance(part, int) else place.setdefault(part, {})
    place[last] = value


def _refuse_unknown(key: str, value: str) -> None:
    if key in KEYS:
        return
    near = difflib.get_close_matches(key[:_COMPARED_MAX].lower(), [known.lower() for known in KEYS], n=1)
    meant = next((f"did you mean {known}?" for known in KEYS if near and known.lower() == near[0]), "")
    raise MetadataError(key, value, f"is no key of ours; {meant or 'they are ' + ', '.join(KEYS)}")


def _one_of(given: Mapping[str, str], key: str, allowed: tuple[str, ...], default: str) -> str:
    value = given.get(key, default)
    if value not in allowed:
        raise MetadataError(key, value, f"must be one of {', '.join(allowed)}")
    return value


def _duration_s(given: Mapping[str, str], key: str, default_s: float, *, least_s: float, most_s: float) -> float:
    if key not in given:
        return default_s
    try:
        duration_s = parse_duration_s(given[key])
    except ValueError:
        duration_s = math.nan
    if not least_s <= duration_s <= most_s:
        raise MetadataError(key, given[key], "must be a duration from 1s to 24h, such as 90s or 10m")
    return duration_s


def _tolerance(given: Mapping[str, str]) -> float:
    key = "hpaTolerance"
    if key not in given:
        return HPA_TOLERANCE
    try:
        tolerance = parse_share(given[key])
    except ValueError:
        tolerance = math.nan
    if not 0.0 <= tolerance <= 0.5:
        raise MetadataError(
            key, given[key], "must be the tolerance of the HorizontalPodAutoscaler, from 0% to 50%, such as 10%"
        )
    return tolerance


def _shown_name(key: str) -> str:
    return key if re.fullmatch(r"\w{1,60}", key, flags=re.ASCII) else shown(key)
