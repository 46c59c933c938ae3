"""Ask an external scaler as KEDA would, and say what KEDA and the HorizontalPodAutoscaler make of the answer."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from autoscaler.api.scalars import format_share
from autoscaler.certificates import read_pem
from autoscaler.errors import UsageError
from autoscaler.keda.externalscaler_pb2 import GetMetricsRequest, MetricValue, ScaledObjectRef
from autoscaler.keda.externalscaler_pb2_grpc import ExternalScalerStub
from autoscaler.keda.metadata import HPA_TOLERANCE, read_metadata
from autoscaler.keda.metric import hpa_wants
from autoscaler.keda.scaled_object import PAUSED, PAUSED_IN, PAUSED_OUT, PAUSED_REPLICAS, ScaledObject, Trigger
from autoscaler.wording import replicas_text

# What KEDA's metrics server gives the operator for all of it: after that the HPA gets an error.
DEADLINE_S = 3.0
# KEDA makes its scaler anew after an error, and asks once more.
_TRIES = 2
# KEDA spreads its calls over all addresses that the name has.
_ROUND_ROBIN = (("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),)


@dataclass(frozen=True, slots=True)
class Client:
    """How to call, where it differs from what the trigger says.

    Attributes:
        address: instead of scalerAddress, as through a port that is forwarded.
        ca_cert, client_cert, client_key: files with what the TriggerAuthentication holds.
    """

    address: str | None = None
    ca_cert: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a trigger was answered.

    Attributes:
        trigger: which, with the address that was called.
        failure: why there was no answer, one line; '' where there was.
        counts: whether KEDA counts the failure for its fallback: it needs a specification to count failures of.
        value: the metric, summed as the HPA does.
        target: per replica.
        active: whether KEDA keeps the workload above zero.
        took_ms: the three calls together.
    """

    trigger: Trigger
    failure: str
    counts: bool = True
    value: float = math.nan
    target: float = math.nan
    active: bool = False
    took_ms: float = math.nan


def check_trigger(scaled: ScaledObject, trigger: Trigger, client: Client) -> Checked:
    """Call as KEDA does: the specification, the metric and whether it is active; once more after an error.

    Raises:
        UsageError: the certificates can't be read.
    """
    called = replace(trigger, address=client.address) if client.address else trigger
    checked = Checked(called, "")
    for _ in range(_TRIES):
        with _channel(called, client, _host(trigger.address) if client.address else "") as channel:
            checked = _ask(scaled, called, ExternalScalerStub(channel))
        if not checked.failure:
            break
    return checked


def to_lines(scaled: ScaledObject, checked: Checked, replicas: int | None) -> Iterator[str]:
    """What to print of one trigger; `replicas` are those that the workload has, where that is known."""
    trigger = checked.trigger
    kind = "external-push" if trigger.push else "external"
    yield f"{scaled.namespace}/{scaled.name}: trigger {trigger.index} ({kind}) at {trigger.address}"
    if checked.failure:
        yield f"  no answer: {checked.failure}"
    else:
        yield f"  metric {trigger.metric}: {checked.value:g}, {trigger.metric_type} target {checked.target:g}"
    if stopped := _stopped(scaled):
        yield f"  {stopped}"
    elif checked.failure:
        yield f"  {_after_failure(scaled, counts=checked.counts)}"
    else:
        yield from (f"  {line}" for line in _effects(scaled, checked, replicas))
    if not checked.failure:
        allowed = f"{DEADLINE_S * 1_000:,.0f} ms that KEDA allows the HPA's calls"
        yield f"  answered in {checked.took_ms:.1f} ms of the {allowed}"


def warnings(scaled: ScaledObject, trigger: Trigger) -> Iterator[str]:
    """What can be used but may not be meant."""
    if scaled.assumed_namespace:
        yield f"metadata.namespace is missing, and taken as {scaled.namespace}; say which with --namespace"
    for key in trigger.unresolved:
        yield f"{key}: its value is in the workload's environment, which only KEDA reads; it was left out here"
    if trigger.metric_type == "Value":
        yield "metricType Value: the HPA multiplies by ready replicas, without those that load; use AverageValue"
    if scaled.rests_at_zero and not trigger.push:
        yield f"type external: from zero a request waits for the next poll, {scaled.polling_s} s; use external-push"
    if trigger.unsafe:
        yield "unsafeSsl: KEDA takes any certificate from 2.21 on; here it is verified as without unsafeSsl"
    for name, way in ((PAUSED_IN, "takes no replica away"), (PAUSED_OUT, "adds no replica")):
        if name in scaled.pauses:
            yield f"annotation {name}: the HPA {way}, whatever it wants"
    if trigger.cached:
        yield f"useCachedMetrics: the HPA sees a new value after {scaled.polling_s} s (pollingInterval)"
    yield from _fallback_warnings(scaled)
    stated = _hpa_tolerance(scaled, trigger)
    if scaled.tolerance_up is not None and stated is not None and scaled.tolerance_up != stated:
        behavior = format_share(scaled.tolerance_up)
        yield f"hpaTolerance is {format_share(stated)}, and behavior.scaleUp.tolerance {behavior}; make them the same"


def _fallback_warnings(scaled: ScaledObject) -> Iterator[str]:
    fallback = scaled.fallback
    if scaled.rests_at_zero and (fallback is None or fallback.replicas == 0):
        field = "minReplicaCount" if scaled.replicas_idle is None else "idleReplicaCount"
        yield (
            f"{field} 0 without a fallback of 1 replica or more: failed calls can take the workload to zero"
            " after cooldownPeriod"
        )
    elif fallback is None:
        yield "no fallback: while there is no answer the HPA keeps the replicas that there are"
    if fallback is not None and fallback.releases:
        yield (
            f"fallback.behavior {fallback.behavior}: while there is no answer it can take away replicas that there are;"
            " use currentReplicasIfHigher"
        )


def _hpa_tolerance(scaled: ScaledObject, trigger: Trigger) -> float | None:
    """What the trigger says of the HPA's tolerance; None where its metadata is wrong, which the answer says."""
    try:
        return read_metadata(scaled.namespace, scaled.name, trigger.metadata).policy.hpa_tolerance
    except UsageError:
        return None


def _ask(scaled: ScaledObject, trigger: Trigger, stub: Any) -> Checked:
    ref = ScaledObjectRef(name=scaled.name, namespace=scaled.namespace, scalerMetadata=dict(trigger.metadata))
    start_s = time.monotonic()
    specified = False
    try:
        specs = stub.GetMetricSpec(ref, timeout=DEADLINE_S).metricSpecs
        if not specs:
            return Checked(trigger, "the specification is empty", counts=False)
        target = specs[0].targetSizeFloat if specs[0].targetSizeFloat > 0 else float(specs[0].targetSize)
        if not target > 0:
            return Checked(trigger, f"the target is {target:g}, and must be above 0", counts=False)
        specified = True
        request = GetMetricsRequest(scaledObjectRef=ref, metricName=specs[0].metricName)
        value = sum(_value(each) for each in stub.GetMetrics(request, timeout=DEADLINE_S).metricValues)
        active = bool(stub.IsActive(ref, timeout=DEADLINE_S).result)
    except grpc.RpcError as error:
        return Checked(trigger, f"{error.code().name}: {' '.join(str(error.details()).split())}", counts=specified)
    return Checked(
        trigger, "", value=value, target=target, active=active, took_ms=(time.monotonic() - start_s) * 1_000.0
    )


def _value(given: MetricValue) -> float:
    """As KEDA reads it: the new field where it is above 0, and 0 for what is no number."""
    value = given.metricValueFloat if given.metricValueFloat > 0 else float(given.metricValue)
    return value if math.isfinite(value) and value > 0 else 0.0


def _host(address: str) -> str:
    """The host of 'chat.prod:9090' or 'dns:///chat.prod:9090'."""
    return address.rpartition("/")[2].rpartition(":")[0]


def _channel(trigger: Trigger, client: Client, host: str) -> grpc.Channel:
    """To the address; where `host` isn't '', the certificate must be for that instead, as through a forwarded port."""
    if not (trigger.tls or client.ca_cert or client.client_cert):
        return grpc.insecure_channel(trigger.address, options=_ROUND_ROBIN)
    files = {"--ca-cert": client.ca_cert, "--client-key": client.client_key, "--client-cert": client.client_cert}
    try:
        credentials = grpc.ssl_channel_credentials(
            *(None if path is None else read_pem(path, option=option) for option, path in files.items())
        )
    except ValueError as error:
        raise UsageError(f"--client-cert, --client-key: {error}") from error
    named = (("grpc.ssl_target_name_override", host),) if host else ()
    return grpc.secure_channel(trigger.address, credentials, options=(*_ROUND_ROBIN, *named))


def _stopped(scaled: ScaledObject) -> str:
    """What KEDA does while it is paused; '' while it isn't."""
    if PAUSED_REPLICAS in scaled.pauses:
        name, keeps = PAUSED_REPLICAS, f"keeps {scaled.pauses[PAUSED_REPLICAS]} replicas"
    elif PAUSED in scaled.pauses:
        name, keeps = PAUSED, "keeps the replicas that there are"
    else:
        return ""
    return f"paused by annotation {name}: KEDA {keeps}, and there is no HPA"


def _effects(scaled: ScaledObject, checked: Checked, replicas: int | None) -> Iterator[str]:
    active = "active" if checked.active else "not active"
    if scaled.formula:
        formula = "the formula of advanced.scalingModifiers decides over all triggers"
        yield f"{active} by itself: {formula} whether it is, and what the HPA wants"
        return
    yield f"{active}: {_activity(scaled, active=checked.active)}"
    if checked.trigger.metric_type == "AverageValue":
        yield _hpa(scaled, checked, replicas)


def _after_failure(scaled: ScaledObject, *, counts: bool) -> str:
    if not counts:
        return (
            "without a specification KEDA has no metric whose failures could count for a fallback: the HPA keeps the"
            " replicas that there are, and other triggers may still raise them"
        )
    if scaled.fallback is None:
        return "the HPA keeps the replicas that there are; other triggers may still raise them"
    return (
        f"the HPA keeps the replicas that there are; after more than {scaled.fallback.failures_max} failures in a row"
        f" of GetMetrics KEDA's fallback wants {scaled.fallback.replicas}"
    )


def _activity(scaled: ScaledObject, *, active: bool) -> str:
    if active:
        return "KEDA keeps at least one replica"
    if scaled.replicas_idle is not None:
        idle = f"{scaled.replicas_idle} (idleReplicaCount)"
        return f"without another active trigger KEDA goes to {idle} after cooldownPeriod"
    if scaled.replicas_min > 0:
        return f"minReplicaCount keeps {scaled.replicas_min}"
    return "without another active trigger KEDA goes to 0 after cooldownPeriod"


def _hpa(scaled: ScaledObject, checked: Checked, replicas: int | None) -> str:
    bounds = f"of {max(scaled.replicas_min, 1)} to {scaled.replicas_max}"
    if replicas is not None:
        wants = scaled.clamped(_wants(scaled, checked, replicas))
        return f"at {replicas_text(replicas)} the HPA wants {wants} {bounds} for it"
    wanted = _wants(scaled, checked, 0)
    around = range(max(1, wanted // 2), 2 * wanted + 1)
    kept = [replicas for replicas in around if _wants(scaled, checked, replicas) == replicas] or [wanted]
    keeps = f", and keeps {kept[0]} to {kept[-1]} where it has them" if len(kept) > 1 else ""
    return f"the HPA wants {scaled.clamped(wanted)} {bounds} for it{keeps} (say how many there are with --replicas)"


def _wants(scaled: ScaledObject, checked: Checked, replicas: int) -> int:
    up, down = (HPA_TOLERANCE if stated is None else stated for stated in (scaled.tolerance_up, scaled.tolerance_down))
    return hpa_wants(checked.value, target=checked.target, replicas=replicas, tolerance=up, tolerance_down=down)
