"""How to read a report: what its numbers count, in plain sentences."""

from __future__ import annotations

from autoscaler.backtest.baselines.metric import replicas_for
from autoscaler.backtest.cluster import whole_bins
from autoscaler.backtest.result import BacktestResult
from autoscaler.backtest.setting import Setting
from autoscaler.report import words
from autoscaler.report.reasons import headstart_reasons
from autoscaler.report.summary import OPTIMUM, PolicySummary, summarise, work_name

_OPTIMUM_TOLD = "it is nearly the cheapest plan that is never late. A policy that may be late can cost less."


def how_to_read(result: BacktestResult) -> list[str]:
    """Sentences for the end of the page, those that hold for this result."""
    setting = result.setting
    texts = [
        f"A replica is paid for from its order, and serves once it has loaded ({setting.load_latency.label}). "
        "A plan decides at the start of a bin, from earlier bins only.",
        *(_fluid(result) if result.requests is None else _per_request(result)),
        "Demand is in replicas: the work that arrives, over what one replica sustains.",
    ]
    if result.forecast is not None:
        texts.append(
            "The upper end of the forecast is the quantile that Headstart ordered for. It chooses that level anew from "
            "its own past, the lower the more may be late: the legend names the one it chose last, and the band shows "
            "at each point the one that held then."
        )
    if headstart_reasons(result):
        texts.append(
            "A reason explains the replicas wanted at the start of its bin, ready and loading together. Where a point "
            "of a chart stands for several bins, hovering gives the reasons of the bin in which that number changed "
            "most, or of the first of them where it never did."
        )
    return [*texts, *history_told(setting)]


def history_told(setting: Setting) -> list[str]:
    """What is learned from and not counted; nothing where all is counted."""
    if not setting.score_from_bin:
        return []
    return [f"The first {words.count(setting.score_from_bin)} bins are history: learned from, not counted."]


def too_short_to_judge(setting: Setting) -> str:
    """A line where what is scored proves nothing: one bin, or no longer than a load, so that no replica that is ordered
    in it serves in it; '' elsewhere.
    """
    bins, load_s = len(setting) - setting.score_from_bin, setting.load_latency.quantile_s(0.5)
    if bins > 1 and bins * setting.bin_s > load_s:
        return ""
    scored = "one bin is" if bins == 1 else f"{words.duration(bins * setting.bin_s)} are"
    loads = f", and a replica loads for {words.duration(load_s)}" if bins * setting.bin_s <= load_s else ""
    return f"Only {scored} scored{loads}: too little to judge by; score more, or give a longer trace"


def hides_bursts(result: BacktestResult) -> bool:
    """Whether late work was counted in bins in which a burst can come, wait too long and be over."""
    return result.requests is None and bool(bursts_hidden(result.setting))


def bursts_hidden(setting: Setting) -> list[str]:
    """What counting in bins hides, where a burst can come, wait too long and be over within one; else nothing."""
    if setting.bin_s <= setting.max_wait_s:
        return []
    wait = words.duration(setting.max_wait_s)
    return [
        f"Work arrives evenly within a bin here. Bins of {words.duration(setting.bin_s)} are wider than "
        f"{wait}, so what waits in a burst within one isn't seen: late shares are too low, the more the fewer "
        "requests a replica serves at once. A log of single requests can be replayed one by one."
    ]


def above_maximum(result: BacktestResult) -> str:
    """What makes every plan late, in a line: demand that needs more replicas than are allowed; '' where none does."""
    above = demand_above_maximum(result.setting)
    optimum = _optimum(result)
    if not above or optimum is None:
        return above
    # In bins that are shorter than the longest wait a peak may be queued in time: then the optimum is not late.
    return f"{above}: even the optimum is late" if optimum.late_fraction > 0 else ""


def demand_above_maximum(setting: Setting) -> str:
    """Where the scored demand needs more replicas than are allowed, how many; '' where it doesn't."""
    scored_rs = setting.arrivals_rs[setting.score_from_bin :]
    needed = replicas_for(float(scored_rs.max(initial=0.0)) / setting.bin_s, 1.0)
    if needed <= setting.replicas_max:
        return ""
    return f"demand needs up to {words.count(needed)} replicas, and the maximum is {words.count(setting.replicas_max)}"


def _fluid(result: BacktestResult) -> list[str]:
    setting = result.setting
    wait = words.duration(setting.max_wait_s)
    texts = [
        f"Late is the share of {work_name(result)} that on arrival finds more than {wait} of work queued at the ready "
        "replicas.",
        *bursts_hidden(setting),
    ]
    if summarise(result).saving is not None:
        texts.append(
            "The headline compares with the cheapest HPA target, of all that were tried, that is at most as late as "
            "Headstart. Nobody could have known that target beforehand: the comparison favours HPA."
        )
    optimum = _optimum(result)
    if optimum is not None:
        late = _why_late(setting) if optimum.late_fraction > 0 else ""
        texts.append(f"'optimum' knows the whole trace: {_OPTIMUM_TOLD}{late}")
    return texts


def _per_request(result: BacktestResult) -> list[str]:
    wait = words.duration(result.setting.max_wait_s)
    texts = [
        "Policies planned on the work per bin; then every request of the log was replayed through each plan: one "
        "queue, first in, first out, over the free slots of ready replicas.",
        f"Late is the share of requests that waited longer than {wait} for a slot. GPU-hours include drains: a "
        "released replica is paid for until its last request ends.",
        "The wait is that for a slot, and the first token comes after it and the prefill. 'late work' weighs each "
        "request by how long it holds a slot; 'in bins' is the same as the model in bins counts it, under the same "
        "plan: how far that model is off on this log.",
        "The ready and loading replicas over time are those of the model in bins, without drains.",
        "Where a policy needed hindsight, it was tuned on the model in bins and not on single requests: its lateness "
        "here may differ from Headstart's.",
    ]
    if summarise(result).saving is not None:
        texts.append(
            "The headline compares with the cheapest HPA among those in the table that is at most as late as Headstart."
        )
    if _optimum(result) is not None:
        texts.append(
            f"'optimum' knows the whole trace: in the model in bins {_OPTIMUM_TOLD} Single "
            "requests may still be late under it."
        )
    return texts


def _why_late(setting: Setting) -> str:
    """Why work is late even under the optimum."""
    first_serves = whole_bins(setting.load_latency.quantile_s(0.5), setting.bin_s)
    if setting.score_from_bin < first_serves:
        return " Here even it is late: work that is counted came before the first replica could have loaded."
    return " Here even it is late: too few replicas are allowed, or some take longer to load than it planned with."


def _optimum(result: BacktestResult) -> PolicySummary | None:
    return summarise(result).policy(OPTIMUM)
