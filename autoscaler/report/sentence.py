"""The sentence with the number that people came for, honest where Headstart is dearer or missed the budget."""

from __future__ import annotations

import math

from autoscaler.backtest.result import BacktestResult
from autoscaler.report import words
from autoscaler.report.reading import too_short_to_judge
from autoscaler.report.summary import (
    HEADSTART,
    RIVAL_FAMILY,
    PolicySummary,
    Saving,
    Summary,
    rival_targets,
    summarise,
    was_tuned,
    work_name,
)

_SAME_COST = 0.0005  # below 0.05 % a difference is none: it would be printed as 0.0 %


def sentence(result: BacktestResult) -> str:
    """One to five plain sentences on what this backtest found; the first says so where it is too little to judge by.

    The others compare Headstart with the cheapest HPA target that is at most as late, or say that none of those tried
    is; and with a static fleet where that would have done as well. Where Headstart was not run they describe the first
    policy that was.
    """
    too_short = too_short_to_judge(result.setting)
    return f"{too_short}. {_found(result)}" if too_short else _found(result)


def _found(result: BacktestResult) -> str:
    summary = summarise(result)
    own = summary.policy(HEADSTART)
    if own is None:
        return f"{_of_other(result, _first_shown(summary))} Headstart was not run."
    static = _against_static(result, summary, own)
    if summary.saving is not None:
        return f"{_against_rival(result, own, summary.saving)}{static}{_against_budget(result, summary, own)}"
    return f"{_of_other(result, own)}{static} {_without_rival(result, summary, own)}".rstrip()


def _against_rival(result: BacktestResult, own: PolicySummary, saving: Saving) -> str:
    hours = f"{words.hours(own.gpu_hours)} GPU-hours"
    against = f"{_difference(saving)} {_rival(result)}"
    dearer = saving.gpu_hours < 0 and not _is_same(saving)
    if not own.within_budget:
        missed = f"{own.title} missed its budget on this trace: {_late(result, own, 'would have waited')}."
        return f"{missed} It would have used {hours}, {against}."
    if dearer:
        return (
            f"{own.title} would not have saved anything on this trace: {hours}, {against}, "
            f"with {_late(result, own, 'waiting')}."
        )
    served = f"{own.title} would have served this trace with {hours}, {against}"
    return f"{served}, with {_late(result, own, 'waiting')}."


def _against_static(result: BacktestResult, summary: Summary, own: PolicySummary) -> str:
    """Beside the saving against the best HPA, which else would read as if it took Headstart to save it."""
    static = summary.static_as_good
    if static is None:
        return ""
    share = (own.gpu_hours - static.gpu_hours) / own.gpu_hours if own.gpu_hours > 0 else 0.0
    compared = "as many as" if share < _SAME_COST else f"{100 * share:.2g} % fewer than"
    return (
        f" But '{static.title}', which needs no hindsight, would have used {words.hours(static.gpu_hours)} GPU-hours,"
        f" {compared} {own.title}, with {words.late_share(static.late_fraction, result.setting.late_budget)} late."
    )


def _against_budget(result: BacktestResult, summary: Summary, own: PolicySummary) -> str:
    """What the cheapest HPA within the asked budget costs, where Headstart was less late than asked, or that none of
    both keeps it; else nothing.
    """
    rival, asked = summary.policy(f"{RIVAL_FAMILY}-within-budget"), words.asked_share(result.setting.late_budget)
    if rival is not None and not rival.within_budget and not own.within_budget:
        return f" {_no_target_keeps(f'the asked {asked} either', result, rival.late_fraction, rival.gpu_hours)}"
    if rival is None or not rival.within_budget or rival.late_fraction <= own.late_fraction:
        return ""
    share = (rival.gpu_hours - own.gpu_hours) / rival.gpu_hours
    compared = "as many" if abs(share) < _SAME_COST else f"{100 * abs(share):.2g} % {'fewer' if share > 0 else 'more'}"
    return (
        f" Against the cheapest HPA in hindsight that just keeps the asked {asked} it is {compared} "
        f"({words.hours(rival.gpu_hours)} GPU-hours)."
    )


def _difference(saving: Saving) -> str:
    if _is_same(saving):
        return "as many as"
    percent = 100 * abs(saving.share)
    amounts = f"{words.hours(abs(saving.gpu_hours))} GPU-hours"
    if saving.money is not None:
        amounts += f", {words.money(abs(saving.money))}"
    return f"{percent:.{0 if percent >= 9.95 else 1}f} % {'fewer' if saving.gpu_hours > 0 else 'more'} ({amounts}) than"


def _rival(result: BacktestResult) -> str:
    """Per request only a few targets are replayed, so that the best of all isn't known."""
    if result.requests is not None:
        return "the cheapest HPA replayed here that is at most as late"
    return "the best HPA that keeps the same lateness in hindsight"


def _is_same(saving: Saving) -> bool:
    return math.isnan(saving.share) or abs(saving.share) < _SAME_COST


def _of_other(result: BacktestResult, row: PolicySummary) -> str:
    cost = f"{words.hours(row.gpu_hours)} GPU-hours"
    if row.money is not None:
        cost += f" ({words.money(row.money)})"
    if row.within_budget:
        return f"{row.title} would have served this trace with {cost}, with {_late(result, row, 'waiting')}."
    return (
        f"{row.title} missed the budget on this trace: {_late(result, row, 'would have waited')}, while it used {cost}."
    )


def _without_rival(result: BacktestResult, summary: Summary, own: PolicySummary) -> str:
    budget = result.setting.late_budget
    if was_tuned(result) and not math.isnan(own.late_fraction):
        late, replica_hours = min(rival_targets(result))
        return _no_target_keeps("this lateness", result, late, replica_hours * result.gpus_per_replica)
    default = summary.policy(RIVAL_FAMILY)
    if default is None:
        return ""
    used = f"{default.title} would have used {words.hours(default.gpu_hours)} GPU-hours"
    if math.isnan(default.late_fraction):
        return f"{used}."
    return f"{used}, with {words.late_share(default.late_fraction, budget)} late."


def _no_target_keeps(what: str, result: BacktestResult, late_fraction: float, gpu_hours: float) -> str:
    """That none of the HPA's keeps `what`, and what the least late one comes to."""
    late = words.late_share(late_fraction, result.setting.late_budget)
    return (
        f"No HPA target that was tried keeps {what}: the least late one leaves {late} late, with "
        f"{words.hours(gpu_hours)} GPU-hours."
    )


def _late(result: BacktestResult, row: PolicySummary, verb: str) -> str:
    """'0.6 % of requests waiting longer than 10 s (asked: at most 1 %)'."""
    setting = result.setting
    if math.isnan(row.late_fraction):
        return "no work in the scored part that could have waited"
    late = words.late_share(row.late_fraction, setting.late_budget)
    asked = f"asked: {'' if row.within_budget else 'at most '}{words.asked_share(setting.late_budget)}"
    return f"{late} of {work_name(result)} {verb} longer than {words.duration(setting.max_wait_s)} ({asked})"


def _first_shown(summary: Summary) -> PolicySummary:
    """The policy to speak of where Headstart was not run: the first that needs no hindsight, else the first."""
    return next((row for row in summary.policies if not row.hindsight), summary.policies[0])
