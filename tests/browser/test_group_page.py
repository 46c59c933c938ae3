"""The page of models that share GPUs in a real browser: charts of two divisions, and what hovering tells of each."""

import re

import pytest
from browser_pages import CLICKS, HOVER, acting, dump, rendered
from group_results import make_group, make_outcomes

from autoscaler.report.group_page import group_page

CHARTS = 4
CHOOSE = """addEventListener("load", () => {
  const select = document.getElementById("rival");
  select.value = "equal parts";
  select.dispatchEvent(new Event("change"));
})"""


@pytest.fixture(scope="module")
def group():
    return make_group()


@pytest.fixture(scope="module")
def outcomes(group):
    return make_outcomes(group)


@pytest.fixture(scope="module")
def page(group, outcomes):
    return group_page(group, outcomes)


def hovered(dom):
    return re.findall(r"<div class=\"[^\"]*\">([^<]*)</div>", dom[dom.index('id="tip"') :])


def point_of(dom, group):
    """The bin in the middle of a chart."""
    left, right, width = 50, 14, float(re.search(r'viewBox="0 0 (\d+) 270"', dom)[1])
    first, bins = group.models[0].setting.score_from_bin, len(group.models[0].setting)
    return first + int((width / 2 - left) / (width - left - right) * (bins - first))


@pytest.mark.parametrize("width", [500, 1300])
def test_all_charts_are_drawn_with_a_name_that_tries_to_break_out(browser, tmp_path, width):
    group = make_group(('</script><script>document.title="owned"</script>', *(f"model {at}" for at in range(11))))
    dom = dump(browser, group_page(group, make_outcomes(group)), tmp_path, width=width)
    assert rendered(dom) == dom.count("<svg") == CHARTS
    assert "<title>owned" not in dom
    assert "NaN" not in "".join(re.findall(r'\s(?:d|x|y|width|height|y1)="([^"]*)"', dom))


def test_the_buttons_zoom_and_come_back(browser, tmp_path, page):
    dom = dump(browser, acting(page, CLICKS), tmp_path)
    assert rendered(dom) == CHARTS
    assert 'id="zoomed">Tue 11 Jun 00:00 to Wed 12 Jun 00:00<' in dom


def test_the_division_to_compare_with_can_be_chosen(browser, tmp_path, page):
    titles = r'class="rival-title">([^<]*)<'
    assert re.findall(titles, dump(browser, page, tmp_path)) == ["first come, first served"] * 2
    chosen = dump(browser, acting(page, CHOOSE), tmp_path)
    assert rendered(chosen) == CHARTS
    assert re.findall(titles, chosen) == ["an equal part each"] * 2


@pytest.mark.parametrize(("chart", "place"), [("gpus", 0), ("late", 0), ("gpus-rival", 1), ("late-rival", 1)])
def test_hovering_tells_who_holds_how_many_gpus_by_the_chart_s_division(
    browser, tmp_path, page, group, outcomes, chart, place
):
    dom = dump(browser, acting(page, HOVER % chart), tmp_path)
    assert rendered(dom) == CHARTS
    at = point_of(dom, group)
    held = [
        int(found.outcome.desired[at]) * model.gpus_per_replica
        for model, found in zip(group.models, outcomes[place].models, strict=True)
    ]
    _, demand, total, *models = hovered(dom)
    assert demand.endswith(" GPUs")
    assert total == f"{sum(held)} of 60 GPUs held"
    told = [line.partition(",")[0] for line in models]
    assert told == [f"{model.name}: {gpus}" for model, gpus in zip(group.models, held, strict=True)]
