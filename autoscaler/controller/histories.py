"""Whose history is asked for, and when; what becomes of it joins between two decisions."""

from __future__ import annotations

import math
from collections.abc import Mapping

from autoscaler.controller.core_spec import Plan, forecasts_alike
from autoscaler.controller.isolation import each, note_defect
from autoscaler.controller.rebuild import Job, Rebuilt, brought_up_to, job_for
from autoscaler.controller.rebuilder import Rebuilder
from autoscaler.controller.step import wants_rebuild
from autoscaler.controller.tell import Teller
from autoscaler.controller.workload import ObjectKey, Workload

# A failed history is asked for again so often.
_RETRY_S = 60.0
# So often one that came out empty; at once when the first bin is known.
_EMPTY_RETRY_S = 600.0
# One that came in part is asked for again as soon, and then later each time, for its server may warn as long as the
# part is asked for: 0.8 s of a processor each, which are 6 % of one for a thousand objects.
_PART_RETRY_S_MAX = 4 * 3_600.0


class Histories:
    """Called by the tick's thread only."""

    def __init__(self, rebuilder: Rebuilder, teller: Teller) -> None:
        """Ask for nothing yet."""
        self._rebuilder = rebuilder
        self._teller = teller

    def go_on(self, workloads: Mapping[ObjectKey, Workload], now_s: float) -> None:
        """Take in the histories that came, and ask for those that are wanted; `now_s` is when the last bin settled."""
        self._join_finished(workloads, now_s)
        jobs = [job for job in each("history", workloads.values(), lambda one: _job(one, now_s)).values() if job]
        if jobs:
            self._rebuilder.submit(jobs)
            for job in jobs:
                workloads[job.key].rebuilding = True
            self._join_finished(workloads, now_s)

    def _join_finished(self, workloads: Mapping[ObjectKey, Workload], now_s: float) -> None:
        for rebuilt in self._rebuilder.finished():
            workload = workloads.get(rebuilt.job.key)
            if workload is None:
                continue
            try:
                self._join(workload, rebuilt, now_s)
            except Exception as problem:
                # The others came with it, and won't come again.
                note_defect("join", workload, problem)
                workload.rebuilding, workload.retry_s = False, now_s + _RETRY_S
            else:
                workload.defects.pop("join", None)

    def _join(self, workload: Workload, rebuilt: Rebuilt, now_s: float) -> None:
        workload.rebuilding = False
        if not rebuilt.job.is_for(workload):
            # Edited, or made anew, since it was asked for: what it asks now is asked next.
            return
        failed, lapsed = rebuilt.failure is not None, workload.lapsed(now_s)
        # Without a single known bin the server may have lost its past, or not found it yet.
        workload.history_missing = failed or not rebuilt.demand_rps or rebuilt.warned != ""
        if rebuilt.failure is not None:
            self._teller.prometheus_failed(workload.key, rebuilt.failure)
        else:
            self._note_parts(workload, rebuilt.warned)
        if workload.history_missing:
            workload.retry_s = now_s + _retry_in_s(workload, rebuilt)
        alike = _serves(workload, rebuilt.job) and not workload.history_edited
        if workload.state is not None and not lapsed and (failed or (alike and rebuilt.adds_nothing)):
            return
        if lapsed:
            # Whoever slept is like whoever begins: the queue that it knew is worked off, and another may have grown.
            workload.taught_s, workload.state = -math.inf, None
        if workload.state is None and (failed or rebuilt.warned or rebuilt.demand_rps):
            # Where there is a past, known or not, there may be a queue of it.
            workload.note_absence()
        workload.history_edited = failed and workload.history_edited
        rebuilt = brought_up_to(workload, rebuilt)
        workload.go_on_with(rebuilt.job.spec, rebuilt.state, rebuilt.ahead)
        # Bounds and objective are those of now, whatever they were when the job began.
        wants_rebuild(workload)
        self._teller.rebuilt(workload, rebuilt)

    def _note_parts(self, workload: Workload, warned: str) -> None:
        """Count histories that came in part; the first of them is told."""
        workload.histories_in_part = workload.histories_in_part + 1 if warned else 0
        if workload.histories_in_part == 1:
            self._teller.history_in_part(workload.key, warned)


def _retry_in_s(workload: Workload, rebuilt: Rebuilt) -> float:
    """When to ask again for a history that is missing, from now."""
    if rebuilt.failure is not None:
        return _RETRY_S
    if not rebuilt.demand_rps:
        return _EMPTY_RETRY_S
    return min(workload.histories_in_part * _EMPTY_RETRY_S, _PART_RETRY_S_MAX)


def _job(workload: Workload, now_s: float) -> Job | None:
    """The history that is to be asked for now, if any."""
    wanted = wants_rebuild(workload)
    needed = wanted is not None or workload.state is None or workload.lapsed(now_s)
    # A clock that was set back doesn't put it off for longer, nor does a part that is missing what can't wait for it.
    waits = 0.0 < workload.retry_s - now_s <= (_EMPTY_RETRY_S if needed else _PART_RETRY_S_MAX)
    if workload.rebuilding or not workload.queries.demand or waits:
        return None
    if not needed and not workload.history_missing:
        return None
    plan = wanted or _current(workload)
    return job_for(workload, plan.spec, now_s, ahead=plan.ahead)


def _current(workload: Workload) -> Plan:
    return Plan(workload.spec, workload.ahead.spec if workload.ahead is not None else None)


def _serves(workload: Workload, job: Job) -> bool:
    """Whether the states that the workload has serve what the job was to plan with."""
    if not forecasts_alike(job.spec, workload.spec):
        return False
    if job.ahead is None:
        return True
    return workload.ahead is not None and forecasts_alike(job.ahead, workload.ahead.spec)
