import json
import re
from dataclasses import replace

import numpy as np
import pytest
from report_results import make_result, unsparse, unstep, with_policy, without

from autoscaler.backtest.cluster import bins_of
from autoscaler.report.curves import chart_data, sparse, steps
from autoscaler.report.page import html_page, write_html
from autoscaler.report.palette import looks_of
from autoscaler.report.picture import write_png

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028"


@pytest.fixture(scope="module")
def result():
    return make_result()


@pytest.fixture(scope="module")
def long_page():
    """A page of 14 scored days at one minute with every policy and three frontiers."""
    return html_page(make_result(40_320, bin_s=60.0))


def test_text_from_the_user_stays_text(result):
    titled = tuple(replace(row, title=EVIL) for row in result.policies)
    frontiers = tuple(replace(row, title=EVIL) for row in result.frontiers)
    evil = replace(result, setting=replace(result.setting, trace_name=EVIL), policies=titled, frontiers=frontiers)
    page = html_page(evil, command=f"headstart backtest '{EVIL}'")
    assert page.count("<script") == 2
    assert page.count("</script") == 2
    assert "<img" not in page
    assert "\u2028" not in page[page.index('id="data"') :]


def test_the_page_asks_the_network_for_nothing(long_page):
    addresses = set(re.findall(r"[a-z]+://[^\s\"'<)]+", long_page))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in long_page
    assert not re.search(r"@import|\burl\((?!#)|\bfetch\(|XMLHttpRequest|\ssrc=", long_page)


def test_a_page_of_20160_bins_stays_below_1_5_mb(long_page):
    assert len(long_page.encode()) < 1_500_000
    assert '{"group":1,' in long_page


def test_every_placeholder_is_filled(long_page):
    text = long_page[: long_page.index('<script type="application/json"')]
    assert not re.search(r"\$[a-z_]+", text)
    assert "nan" not in text.lower().replace("nanoseconds", "")


def test_headline_table_and_reproduction_are_there_without_a_script(result):
    page = html_page(result, command="headstart backtest x.csv --seed 7")
    assert "<h1>Headstart would have served this trace" in page
    table = page[page.index("<h2>Policies") : page.index("<h2>Over time")]
    assert table.count("<tr") == 1 + len(result.policies)
    assert "<pre>headstart backtest x.csv --seed 7</pre>" in page
    assert "capacity_rps requests=3.2" in page


def test_a_result_without_headstart_frontiers_and_price_makes_a_page(result):
    bare = replace(without(result, "headstart", "hpa-best", "optimum"), frontiers=(), gpu_hour_price=None)
    page = html_page(bare)
    assert "Headstart was not run." in page
    assert "Why the number of replicas" not in page
    assert json.loads(chart_data(bare))["reasons"] is None
    assert "<th>cost</th>" not in page


def test_chart_data_hold_the_scored_part_exactly(result):
    data = json.loads(chart_data(result))
    first, own = result.setting.score_from_bin, result.policies[0].outcome
    bins = bins_of(result.setting, own)
    n = data["points"]
    assert n == len(result.setting) - first
    assert data["start_s"] == result.setting.start_s + first * result.setting.bin_s
    np.testing.assert_array_equal(unstep(data["policies"][0]["ready_high"], n), bins.ready[first:])
    np.testing.assert_array_equal(unstep(data["policies"][0]["loading"], n), (own.desired - bins.ready)[first:])
    np.testing.assert_allclose(unsparse(data["policies"][0]["late_rs"], n), bins.late_rs[first:], rtol=6e-3)


def test_grouping_a_long_trace_hides_no_late_bin(result):
    whole, small = json.loads(chart_data(result)), json.loads(chart_data(result, bytes_max=20_000))
    group = small["group"]
    assert group > 1
    assert small["point_s"] == group * result.setting.bin_s
    for full, short in zip(whole["policies"], small["policies"], strict=True):
        late, grouped = unsparse(full["late_rs"], whole["points"]), unsparse(short["late_rs"], small["points"])
        np.testing.assert_array_equal(np.unique(np.flatnonzero(late) // group), np.flatnonzero(grouped))
    assert max(small["demand"]["high"]) == max(whole["demand"]["low"])
    assert min(small["demand"]["low"]) == min(whole["demand"]["low"])


def test_missing_demand_is_marked_and_the_forecast_has_gaps_not_zeros(result):
    data = json.loads(chart_data(result))
    assert unstep(data["missing"], data["points"]).sum() == 5
    unknown = replace(result.forecast, median=np.full(len(result.setting), np.nan))
    assert set(json.loads(chart_data(replace(result, forecast=unknown)))["forecast"]["median"]) == {None}


def test_steps_and_sparse_pairs_are_gaps_and_values():
    assert steps(np.array([3.0, 3.0, 5.0, 5.0, 0.0])) == [0, 3, 2, 5, 2, 0]
    assert sparse(np.array([0.0, 0.12345, 0.0, 0.0, 2.0])) == [1, 0.123, 3, 2.0]
    assert steps(np.array([])) == []
    assert sparse(np.zeros(3)) == []


def test_a_family_has_one_look_and_others_are_told_apart():
    looks = looks_of(["hpa", "hpa-best", "static-peak", "same-time-yesterday", "same-time-last-week"])
    assert looks["hpa"] == looks["hpa-best"]
    assert looks["static-peak"].key == "static"
    assert looks["same-time-yesterday"] != looks["same-time-last-week"]


def test_files_are_written_whole(result, tmp_path):
    write_html(result, tmp_path / "report.html")
    write_png(replace(result, setting=replace(result.setting, trace_name="a $x$ <b> _{")), tmp_path / "report.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.png"]
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("names", [("headstart",), ("hpa-best", "optimum"), ("hpa", "hpa-best", "keda", "static")])
def test_the_picture_can_do_without_policies(result, tmp_path, names):
    write_png(replace(without(result, *names), frontiers=()), tmp_path / "report.png")


def test_the_optimum_is_told_as_what_it_is(result):
    page = html_page(with_policy(result, "optimum", late_fraction=0.0))
    assert "from that HPA down to the never-late optimum" in page
    assert "it is nearly the cheapest plan that is never late. A policy that may be late can cost less." in page
    assert "Here even it is late" not in page


def test_an_optimum_that_had_to_be_late_is_not_called_never_late(result):
    page = html_page(with_policy(result, "optimum", late_fraction=0.02))
    assert "never-late" not in page
    assert "Here even it is late: too few replicas are allowed, or some take longer to load" in page
    early = replace(result, setting=replace(result.setting, score_from_bin=0))
    page = html_page(with_policy(early, "optimum", late_fraction=0.02))
    assert "Here even it is late: work that is counted came before the first replica could have loaded." in page
