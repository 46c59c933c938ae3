"""The page in a real browser: all charts are drawn and no script fails."""

import re
from dataclasses import replace

import numpy as np
import pytest
from browser_pages import CLICKS, HOVER, acting, dump, rendered
from report_results import make_result, with_policy, without

from autoscaler.report.page import html_page
from autoscaler.report.reasons import meanings

CHARTS = 5
DRAG = """addEventListener("load", () => {
  const svg = document.querySelector("#supply svg"), bounds = svg.getBoundingClientRect();
  svg.setPointerCapture = () => {};
  for (const [kind, part] of [["pointerdown", 0.4], ["pointermove", 0.6], ["pointerup", 0.6]])
    svg.dispatchEvent(new PointerEvent(kind, { clientX: bounds.left + bounds.width * part, clientY: bounds.top + 40 }));
  const mark = document.querySelector("#cost rect.fill");
  mark.dispatchEvent(new PointerEvent("pointermove", { clientX: 10, clientY: 10 }));
})"""

# Pairs of texts in the chart of cost against lateness that lie over each other.
OVERLAPS = """addEventListener("load", () => {
  const texts = [...document.querySelectorAll("#frontier text")];
  const boxes = texts.map((node) => [node.textContent, node.getBoundingClientRect()]);
  const found = [];
  boxes.forEach(([a, p], k) => boxes.slice(k + 1).forEach(([b, q]) => {
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 4) found.push(`${a}/${b}`);
  }));
  document.documentElement.dataset.overlaps = found.join(" ");
})"""
# Where the cell of a policy's late share ends, in a page as wide as the window.
LATE_ENDS = """addEventListener("load", () => {
  const cells = [...document.querySelectorAll("tr.own td")];
  const late = cells.find((cell) => cell.textContent.includes("0.61"));
  document.documentElement.dataset.lateEnds = Math.ceil(late.getBoundingClientRect().right);
  document.documentElement.dataset.wide = innerWidth;
})"""


def test_all_charts_are_drawn_with_a_name_that_tries_to_break_out(browser, tmp_path):
    evil = make_result(name='</script><script>document.title="owned"</script>')
    dom = dump(browser, html_page(evil), tmp_path)
    assert rendered(dom) == CHARTS
    assert "<title>owned" not in dom
    assert dom.count("<svg") == CHARTS
    assert "NaN" not in "".join(re.findall(r'\sd="([^"]*)"', dom))


def test_the_buttons_zoom_and_come_back(browser, tmp_path):
    whole = dump(browser, acting(html_page(make_result()), CLICKS), tmp_path)
    assert rendered(whole) == CHARTS
    assert 'id="zoomed">Thu 13 Jun 12:00 to Mon 17 Jun 00:00<' in whole


def test_dragging_zooms_and_hovering_tells_a_policy_s_numbers(browser, tmp_path):
    dom = dump(browser, acting(html_page(make_result()), DRAG), tmp_path)
    assert rendered(dom) == CHARTS
    assert 'id="zoomed">Thu 13 Jun 12:00 to Mon 17 Jun 00:00<' not in dom
    assert "GPU-hours</div>" in dom[dom.index('id="tip"') :]


def test_hovering_over_the_replicas_tells_headstarts_reasons_in_words(browser, tmp_path):
    result = make_result()
    dom = dump(browser, acting(html_page(result), HOVER % "supply"), tmp_path)
    assert rendered(dom) == CHARTS
    first, bins = result.setting.score_from_bin, len(result.setting)
    left, right, width = 50, 14, float(re.search(r'viewBox="0 0 (\d+) 300"', dom)[1])
    at = (width / 2 - left) / (width - left - right)
    expected = meanings(result.policies[0].reasons[first + int(at * (bins - first))])
    assert re.findall(r'<div class="why">([^<]*)</div>', dom) == expected
    box = re.findall(r'<div class="([^"]*)">', dom[dom.index('id="tip"') :])
    assert box[box.index("key look-headstart") + 1] == "why"  # not under the rival's line
    elsewhere = dump(browser, acting(html_page(result), HOVER % "demand"), tmp_path)
    assert 'class="why"' not in elsewhere


def test_hovering_over_a_group_says_which_bin_its_reasons_are_of(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("autoscaler.report.curves.POINTS_MAX", 100)
    dom = dump(browser, acting(html_page(make_result()), HOVER % "supply"), tmp_path)
    assert rendered(dom) == CHARTS
    assert '<div class="why">Where the replicas wanted changed most:</div>' in dom


def test_no_bin_is_more_than_wholly_late(browser, tmp_path):
    """To three digits 3,018 replica-seconds of late work are 3,020, which is 100.07 % of what arrived."""
    result = make_result()
    work = np.full(len(result.setting), 3018.0)
    own = result.policies[0]
    assert own.outcome.counted is not None
    late = replace(own, outcome=replace(own.outcome, counted=replace(own.outcome.counted, late_rs=work)))
    setting = replace(result.setting, arrivals_rs=work)
    wholly = replace(result, setting=setting, policies=(late, *result.policies[1:]))
    dom = dump(browser, acting(html_page(wholly), HOVER % "late"), tmp_path)
    assert rendered(dom) == CHARTS
    assert "late: 10.1 replicas' worth (100 %)</div>" in dom


def test_one_policy_alone_is_drawn(browser, tmp_path):
    result = make_result()
    others = [row.name for row in result.policies if row.name != "hpa"]
    bare = replace(without(result, *others), frontiers=(), gpu_hour_price=None)
    assert rendered(dump(browser, html_page(bare), tmp_path)) == CHARTS


def test_a_grouped_trace_that_counts_from_its_start_is_drawn(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("autoscaler.report.curves.POINTS_MAX", 300)
    result = make_result()
    undated = replace(result, setting=replace(result.setting, start_s=0.0))
    dom = dump(browser, acting(html_page(undated), CLICKS), tmp_path)
    assert rendered(dom) == CHARTS
    assert 'id="zoomed">day 4 12:00 to day 8 00:00<' in dom


def at_one_place(result):
    """All policies alike and never late, as on half an hour of three replicas."""
    for row in result.policies:
        result = with_policy(result, row.name, replica_hours=1.47, late_fraction=0.0)
    return replace(result, frontiers=())


@pytest.mark.parametrize("width", [500, 1300])
@pytest.mark.parametrize("alike", [False, True])
def test_no_text_lies_over_another_in_cost_against_lateness(browser, tmp_path, width, alike):
    result = at_one_place(make_result()) if alike else make_result()
    dom = dump(browser, acting(html_page(result), OVERLAPS), tmp_path, width=width)
    assert rendered(dom) == CHARTS
    assert re.findall(r'data-overlaps="([^"]*)"', dom) == [""]


def test_how_late_a_policy_is_can_be_seen_beside_its_name_on_a_narrow_page(browser, tmp_path):
    result = with_policy(make_result(), "headstart", late_fraction=0.0061)
    dom = dump(browser, acting(html_page(result), LATE_ENDS), tmp_path, width=500)
    assert rendered(dom) == CHARTS
    assert int(re.search(r'data-late-ends="(\d+)"', dom)[1]) <= int(re.search(r'data-wide="(\d+)"', dom)[1]) <= 500
