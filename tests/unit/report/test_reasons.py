import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from report_results import make_result

from autoscaler.core.decision import Reason
from autoscaler.report.curves import chart_data
from autoscaler.report.grouped_curves import grouped_curves
from autoscaler.report.page import html_page
from autoscaler.report.reasons import MEANINGS, coded, meanings, shares


@pytest.fixture(scope="module")
def result():
    return make_result()


def with_plan(result, desired, reasons):
    """The result with another plan of Headstart's, over its first bins, and nothing but Headstart."""
    own = result.policies[0]
    outcome = replace(own.outcome, desired=np.array(desired, dtype=np.int32), counted=None)
    n, setting = len(desired), result.setting
    setting = replace(
        setting,
        demand_rps={unit: demand[:n] for unit, demand in setting.demand_rps.items()},
        arrivals_rs=setting.arrivals_rs[:n],
        score_from_bin=2,
    )
    only = replace(own, outcome=outcome, reasons=tuple(reasons))
    return replace(result, setting=setting, policies=(only,), frontiers=(), forecast=None)


def test_every_reason_has_one_sentence_of_its_own():
    assert set(MEANINGS) == set(Reason)
    assert len(set(MEANINGS.values())) == len(Reason)
    assert all(text.endswith(".") and text.count(".") == 1 and len(text) <= 110 for text in MEANINGS.values())


def test_sentences_keep_the_order_of_the_codes():
    assert meanings("Backlog OrderedAhead") == [MEANINGS[Reason.BACKLOG], MEANINGS[Reason.ORDERED_AHEAD]]
    assert meanings("") == []


def test_shares_are_over_scored_bins_and_leave_out_what_only_the_history_had():
    reasons = ("NoHistory", "Steady", "Backlog OrderedAhead", "Steady", "Steady")
    assert shares(reasons, 1) == {"Steady": 0.75, "Backlog": 0.25, "OrderedAhead": 0.25}
    assert next(iter(shares(reasons, 1))) == "Steady"


def test_coding_gives_back_each_text():
    reasons = ("NoHistory", "Steady", "Released", "Steady")
    texts, codes = coded(reasons, 1)
    assert texts == ["Steady", "Released"]
    assert codes.tolist() == [0, 1, 0]
    assert coded(()) == ([], pytest.approx(np.array([])))


def test_the_page_explains_the_codes_that_occur_and_only_those(result):
    page = html_page(result)
    section = page[page.index("<h2>Why the number of replicas was what it was") :]
    section = section[: section.index("</table>")]
    for reason in Reason:
        occurs = any(reason in text.split() for text in result.policies[0].reasons[result.setting.score_from_bin :])
        assert (f"<code>{reason}</code></td><td>{MEANINGS[reason]}</td>" in section) == occurs


def test_each_point_has_the_reasons_of_its_bin(result):
    found = json.loads(chart_data(result))["reasons"]
    pairs, told = found["at"], []
    for at, number in enumerate(pairs[1::2]):
        gap = pairs[2 * at + 2] if 2 * at + 2 < len(pairs) else len(result.setting)
        told += [found["texts"][number]] * gap
    scored = result.policies[0].reasons[result.setting.score_from_bin :]
    assert told[: len(scored)] == [meanings(text) for text in scored]


def test_a_group_has_the_reasons_of_its_largest_change_or_of_its_first_bin(result):
    # Two bins of history; then the first scored bin changes by one against the history, later ones by 4 and by -5.
    desired = [3, 3, 4, 8, 8, 3, 3, 3, 3, 3, 2]
    names = ["a", "b", "first", "up", "c", "down", "d", "e", "f", "g", "last"]
    plan = with_plan(result, desired, names)
    curves = grouped_curves(plan, 3)
    assert [curves.reasons.texts[code] for code in curves.reasons.codes] == ["up", "down", "last"]
    level = with_plan(result, [3] * 11, names)
    curves = grouped_curves(level, 3)
    assert [curves.reasons.texts[code] for code in curves.reasons.codes] == ["first", "down", "f"]


def test_grouping_in_steps_finds_the_same_bin_as_grouping_at_once(result):
    at_once, in_steps = grouped_curves(result, 12).reasons, grouped_curves(result, 3).regrouped(4).reasons
    np.testing.assert_array_equal(at_once.codes, in_steps.codes)
    np.testing.assert_array_equal(at_once.change, in_steps.change)


def test_coding_keeps_two_bytes_of_a_bin():
    reasons = ("Steady", "Released") * 50_000
    coded(reasons[:2])
    tracemalloc.start()
    kept = coded(reasons)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept[1]) == 100_000
    assert held < 2.1 * 100_000
    assert peak < 4 * 100_000
