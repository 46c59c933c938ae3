"""Which number to publish, so that a HorizontalPodAutoscaler wants the replicas that were decided.

The metric counts replicas and its target is one per replica (AverageValue, a trigger's default): the HPA wants
ceil(value), and ignores the metric where value / replicas is within its tolerance of 1, by default 10 %. At 20 replicas
a value of 22 is lost. So:

- Up, past the tolerance: the value is what was decided, exactly.
- Up, within it: the smallest whole number past it. At 20 replicas the HPA wants 23 where 21 or 22 was decided. No
  metric makes it want less, whatever its target: what it wants is either what is there or more than 1.1 times as much.
  Below 10 replicas nothing lies within, and all is exact.
- Down: the value is what was decided. Within the tolerance the HPA keeps what is there, at most 1 / 0.9 of it.

So the HPA's number is never below the decided one, and above it by 10 % and one replica at most, and once there it
stays until more is needed. Where nobody here sees the workload, as of what a trigger describes, the value is past the
tolerance from whatever is less: exact up to 10 replicas, then as far above as that. `tests/unit/keda/test_metric.py`
tries all pairs up to 200.

Where 10 % of the replicas is money, there are two exact ways. `behavior.scaleUp.tolerance: 0` in the ScaledObject's
`horizontalPodAutoscalerConfig` (Kubernetes 1.33 with the gate HPAConfigurableTolerance, on by itself from 1.35), with
`hpaTolerance: 0%` in the trigger. Or a PredictiveAutoscaler in mode Floor instead of a trigger: a minimum of replicas
knows no tolerance.

How fast the HPA goes there is its `behavior`: without one it at most doubles, or goes to 4, with each sync of 15 s.
"""

from __future__ import annotations

import math

METRIC_NAME = "headstart-replicas"
# Replicas per replica: whole, for the sake of KEDA before 2.17, and above 0, which KEDA doesn't check.
TARGET = 1

# Far more than the rounding of doubles, far less than what one replica of 100,000 changes.
_PAST = 1e-9


def value_to_publish(desired: int, replicas: int | None, *, tolerance: float) -> int:
    """The metric's value for a wanted number of replicas.

    Args:
        desired: replicas wanted.
        replicas: replicas there are (status.replicas), as the HPA sees them; None where nobody knows. Then the value is
            past the tolerance from any lower number, which costs up to 10 % more.
        tolerance: the share of change upwards that the HPA ignores.
    """
    below = desired - 1 if replicas is None else replicas
    if not 0 < below < desired:
        return desired
    return max(desired, math.floor(below * (1.0 + tolerance + _PAST)) + 1)


def hpa_wants(
    value: float, *, target: float, replicas: int, tolerance: float, tolerance_down: float | None = None
) -> int:
    """What a HorizontalPodAutoscaler wants for an external metric with an AverageValue, before its bounds and behavior.

    From pkg/controller/podautoscaler/replica_calculator.go of Kubernetes 1.33 and later; before, the edge of the
    tolerance was reckoned as abs(1 - ratio), with another rounding. Both take values and targets in thousandths.

    Args:
        value: the metric, summed over what was returned.
        target: its averageValue, above 0.
        replicas: status.replicas of the scale subresource.
        tolerance: the share of change that it ignores.
        tolerance_down: that of change downwards, where it is another.
    """
    value_milli, target_milli = round(value * 1_000), round(target * 1_000)
    if replicas > 0:
        ratio = value_milli / (target_milli * replicas)
        down = tolerance if tolerance_down is None else tolerance_down
        if 1.0 - down <= ratio <= 1.0 + tolerance:
            return replicas
    return math.ceil(value_milli / target_milli)
