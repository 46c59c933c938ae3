"""A decision in one sentence: the numbers that decided it, in each case."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from decision_records import make_outlook, make_record, make_spec

from autoscaler.controller.sentence import decision_sentence
from autoscaler.core.decide import choose
from autoscaler.core.decision import Reason


@pytest.fixture
def steady():
    return replace(
        make_record().decision,
        desired=6,
        current=6,
        ready=5,
        lead_bins=4,
        high_at_lead=5.44,
        peak_until_lead=5.9,
        risk_level=0.99,
        late_price=0.0,
        backlog_rs=0.0,
        backlog_at_lead_rs=1_234.0,
        reasons=(Reason.STEADY,),
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "6 replicas (5 ready, 1 loading): 5.4 needed in 4 min (99 % quantile)"),
        ({"desired": 8}, "8 replicas (5 ready, 1 loading): 5.4 needed in 4 min (99 % quantile)"),
        (
            {"desired": 1, "current": 0, "ready": 0},
            "1 replica (0 ready, 0 loading): 5.4 needed in 4 min (99 % quantile)",
        ),
        (
            {"desired": 1, "current": 0, "ready": 0, "high_at_lead": 0.047},
            "1 replica (0 ready, 0 loading): 0.05 needed in 4 min (99 % quantile)",
        ),
        (
            {"desired": 1, "current": 0, "ready": 0, "high_at_lead": math.nan},
            "1 replica (0 ready, 0 loading): no demand is known yet, so there is no forecast",
        ),
        ({"desired": 5}, "5 replicas (5 ready, 1 loading): at most 5.9 needed within 4 min (99 % quantile)"),
        (
            {"desired": 5, "peak_until_lead": 4.0},
            "5 replicas (5 ready, 1 loading): at most 5.4 needed within 4 min (99 % quantile)",
        ),
        (
            {"reasons": (Reason.KEPT,), "high_at_lead": 2.0},
            "6 replicas (5 ready, 1 loading): 5.9 may be needed within 4 min, 2.0 after it",
        ),
        (
            {"reasons": (Reason.DEMAND_MISSING, Reason.STEADY)},
            "6 replicas (5 ready, 1 loading): the last demand is unknown, so none is released; 5.4 forecast in 4 min",
        ),
        (
            {"reasons": (Reason.QUEUE_UNKNOWN, Reason.STEADY)},
            "6 replicas (5 ready, 1 loading): nobody saw what was queued of late, so none is released; 5.4 forecast in"
            " 4 min",
        ),
        (
            {"high_at_lead": math.nan, "reasons": (Reason.NO_HISTORY,)},
            "6 replicas (5 ready, 1 loading): no demand is known yet, so they are held",
        ),
        (
            {"reasons": (Reason.BACKLOG, Reason.STEADY)},
            "6 replicas (5 ready, 1 loading): 5.4 needed in 4 min (99 % quantile), and a backlog of 1,234"
            " replica-seconds then",
        ),
        (
            {"reasons": (Reason.KEPT_FOR_DEMAND, Reason.RELEASED), "desired": 5},
            "5 replicas (5 ready, 1 loading): as many as the last demand needs stay; 5.4 needed in 4 min",
        ),
        (
            {"reasons": (Reason.KEPT_FOR_QUEUE, Reason.STEADY), "backlog_rs": 15_492.0},
            "6 replicas (5 ready, 1 loading): a queue keeps them busy, 15,492 replica-seconds now; 5.4 needed in 4 min",
        ),
        (
            {"reasons": (Reason.AT_MAX, Reason.STEADY)},
            "6 replicas (5 ready, 1 loading): 5.4 needed in 4 min (99 % quantile); maxReplicas is 20",
        ),
        (
            {"reasons": (Reason.AT_MIN, Reason.STEADY)},
            "6 replicas (5 ready, 1 loading): 5.4 needed in 4 min (99 % quantile); minReplicas is 1",
        ),
        ({"lead_bins": 1}, "6 replicas (5 ready, 1 loading): 5.4 needed in 60 s (99 % quantile)"),
        ({"lead_bins": 90}, "6 replicas (5 ready, 1 loading): 5.4 needed in 90 min (99 % quantile)"),
    ],
)
def test_the_sentence(steady, changes, told):
    assert decision_sentence(make_spec(), replace(steady, **changes)) == told


@pytest.mark.parametrize(
    ("stated", "outlook", "said"),
    [
        ({}, {}, True),
        ({"replicas_max": 4}, {}, False),
        ({"replicas_min": 9}, {}, False),
        ({}, {"cold_replicas": 9}, False),
        ({}, {"missing": True}, False),
        ({}, {"demand_replicas": 12.0}, False),  # more than there are
    ],
    ids=["demand", "maximum", "minimum", "cold start", "missing", "too few"],
)
def test_what_is_kept_for_demand_is_said_only_where_that_made_the_number(stated, outlook, said):
    seen = replace(make_outlook(2.0), **({"demand_replicas": 7.5} | outlook))
    decision = choose(replace(make_spec(), **stated), seen, make_record(ready=10, due=()).observation)
    assert (Reason.KEPT_FOR_DEMAND in decision.reasons) is said
