"""The reactive families: autoscalers with a target utilisation that somebody has to choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.backtest.baselines.hpa import HpaOptions, plan_hpa
from autoscaler.backtest.baselines.keda import KedaOptions, plan_keda
from autoscaler.backtest.baselines.knative import KnativeOptions, plan_knative
from autoscaler.backtest.setting import IntArray, Setting


@dataclass(frozen=True, slots=True)
class Family:
    """One autoscaler at any target.

    Attributes:
        name: of the policy at its default target; with '-best' behind, at the best one in hindsight.
        title: for people.
        target: the default, as a share of what a replica sustains.
        plan: (setting, target) -> replicas at the start of each bin, shape (n,).
    """

    name: str
    title: str
    target: float
    plan: Callable[[Setting, float], IntArray]


def _hpa(setting: Setting, target: float) -> IntArray:
    return plan_hpa(setting, HpaOptions(target=target))


def _keda(setting: Setting, target: float) -> IntArray:
    return plan_keda(setting, KedaOptions(target=target))


def _knative(setting: Setting, target: float) -> IntArray:
    return plan_knative(setting, KnativeOptions(target=target))


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("hpa", "HPA", HpaOptions().target, _hpa),
        Family("keda", "KEDA", KedaOptions().target, _keda),
        Family("knative", "Knative", KnativeOptions().target, _knative),
    )
}
