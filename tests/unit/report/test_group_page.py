"""Models that share GPUs on a page, in a table and for machines: the same numbers, all of them."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from group_results import make_group, make_outcomes, with_maximum
from report_results import unsparse, unstep
from rich.console import Console

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.group import DIVISIONS, HEADSTART, UNLIMITED
from autoscaler.core.load_latency import LoadLatency
from autoscaler.report import words
from autoscaler.report.division_data import division_data
from autoscaler.report.group_lines import lines_of
from autoscaler.report.group_page import group_page
from autoscaler.report.group_table import group_json, group_table
from autoscaler.report.page_parts import unbroken

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028"
MANY = tuple(f"model {place}" for place in range(12))


@pytest.fixture(scope="module")
def group():
    return make_group()


@pytest.fixture(scope="module")
def outcomes(group):
    return make_outcomes(group)


def printed(group, outcomes):
    out = io.StringIO()
    Console(file=out, width=100).print(group_table(group, outcomes))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def data_of(group, outcomes, **limit):
    return json.loads(division_data(group, outcomes, lines_of(group), **limit))


def gpus_of(data, division=0):
    return np.array([unstep(line["gpus"], data["points"]) for line in data["divisions"][division]["lines"]])


def test_the_document_has_every_division_together_and_per_model(group, outcomes):
    found = json.loads(json.dumps(group_json(group, outcomes, command="headstart x"), allow_nan=False))
    assert list(found) == ["sentence", "gpus", "divisions", "models", "versions", "command"]
    assert (found["gpus"], set(found["divisions"])) == (60, set(DIVISIONS))
    for outcome in outcomes:
        told = found["divisions"][outcome.name]
        assert told["late_fraction"] == outcome.late_fraction
        assert told["gpu_hours"] == pytest.approx(sum(model["gpu_hours"] for model in told["models"].values()))
        assert told["gpus_max"] == outcome.gpus_max
        assert told["models"]["code"]["gpus_max"] == outcome.models[1].gpus_max
        assert told["models"]["code"]["within_budget"] == (outcome.models[1].late_fraction <= 0.01)
    assert found["models"]["code"]["settings"]["gpus_per_replica"] == 2
    assert found["models"]["code"]["trace"]["scored_bins"] == 288
    assert "command" not in group_json(group, outcomes)


def test_a_scored_part_no_longer_than_a_models_load_is_told_here_and_on_the_page(group, outcomes):
    code = group.models[1]
    setting = code.setting
    scored_s = (len(setting) - setting.score_from_bin) * setting.bin_s
    slow = replace(code, setting=replace(setting, load_latency=LoadLatency.constant(scored_s)))
    short = replace(group, models=(group.models[0], slow, *group.models[2:]))
    line = f"code: Only {words.duration(scored_s)} are scored, and a replica loads for {words.duration(scored_s)}: "
    assert [each.startswith(line) for each in printed(short, outcomes)].count(True) == 1
    assert unbroken(line) in group_page(short, outcomes)


def test_a_maximum_below_what_demand_needs_is_told_per_model_here_and_on_the_page(group, outcomes):
    low = with_maximum(group, 1, 5)
    peak = max(group.models[1].setting.arrivals_rs[group.models[1].setting.score_from_bin :]) / 300
    line = f"code: demand needs up to {int(np.ceil(peak))} replicas, and the maximum is 5"
    assert line in printed(low, outcomes)
    assert f'<p class="note">{line}.</p>' in group_page(low, outcomes)
    assert not any("demand needs" in each for each in printed(group, outcomes))
    assert "demand needs" not in group_page(group, outcomes)


def test_the_page_has_the_numbers_of_every_division_and_model_without_a_script(group, outcomes):
    page = group_page(group, outcomes, name="group.yaml", command="headstart backtest-group group.yaml")
    table = page[page.index("<h2>Divisions") : page.index("<h2>Over time")]
    assert table.count("<tr") == 1 + len(outcomes) * (1 + len(group.models))
    for outcome in outcomes:
        assert words.hours(outcome.gpu_hours) in table
        assert all(words.hours(model.gpu_hours) in table for model in outcome.models)
    assert "<pre>headstart backtest-group group.yaml</pre>" in page
    assert "capacity_rps requests=3.2" in page
    assert not re.search(r"\$[a-z_]+", page[: page.index('<script type="application/json"')])


def test_only_a_model_that_is_later_than_it_asked_is_red(group, outcomes):
    first = outcomes[0]
    kept, missed = (
        replace(model, late_fraction=late) for model, late in zip(first.models, (0.01, 0.0101), strict=False)
    )
    page = group_page(group, [replace(first, models=(kept, missed, kept)), *outcomes[1:]])
    assert "<td>1&nbsp;%</td>" in page
    assert '<td class="bad">1.01&nbsp;%</td>' in page


def test_text_from_the_user_stays_text():
    group = make_group((EVIL, "b"))
    page = group_page(group, make_outcomes(group), name=EVIL, command=f"headstart '{EVIL}'")
    assert page.count("<script") == 2
    assert page.count("</script") == 2
    assert "<img" not in page
    assert "\u2028" not in page[page.index('id="data"') :]
    assert set(re.findall(r"[a-z]+://[^\s\"'<)]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_the_charts_hold_the_scored_part_exactly(group, outcomes):
    data = data_of(group, outcomes)
    first = group.models[0].setting.score_from_bin
    assert data["gpus"] == 60
    assert [division["name"] for division in data["divisions"]] == list(DIVISIONS)
    for place, (model, found) in enumerate(zip(group.models, outcomes[0].models, strict=True)):
        bins = bins_of(model.setting, found.outcome)
        np.testing.assert_array_equal(gpus_of(data)[place], bins.paid[first:] * model.gpus_per_replica)
        line = data["divisions"][0]["lines"][place]
        late = bins.late_rs[first:] * model.gpus_per_replica
        np.testing.assert_allclose(unsparse(line["late_gpu_s"], data["points"]), late, rtol=6e-3)
        assert line["late_bins"] == np.count_nonzero(late)


def test_grouping_shows_the_bin_in_which_most_were_held_and_hides_no_late_bin(group, outcomes):
    whole, small = data_of(group, outcomes), data_of(group, outcomes, bytes_max=4_000)
    times = small["group"]
    assert times > 1
    for division in range(len(outcomes)):
        held = gpus_of(whole, division).sum(axis=0)
        most = [held[at : at + times].max() for at in range(0, len(held), times)]
        np.testing.assert_array_equal(gpus_of(small, division).sum(axis=0), most)
        for full, short in zip(*(data["divisions"][division]["lines"] for data in (whole, small)), strict=True):
            late, grouped = (
                unsparse(line["late_gpu_s"], data["points"]) for line, data in ((full, whole), (short, small))
            )
            np.testing.assert_array_equal(np.unique(np.flatnonzero(late) // times), np.flatnonzero(grouped))
            assert full["late_bins"] == short["late_bins"]


def test_of_many_models_those_with_most_work_have_a_line_and_the_others_one_together():
    group = make_group(MANY)
    outcomes = make_outcomes(group)
    lines = lines_of(group)
    assert lines[-1].title == "5 other models"
    assert sorted(place for line in lines for place in line.places) == list(range(12))
    assert len({line.look.key for line in lines}) == len(lines) == 8
    assert 1 in [place for line in lines[:-1] for place in line.places]  # two GPUs each: the most work
    data = data_of(group, outcomes)
    held = sum(
        found.outcome.desired[288:] * model.gpus_per_replica
        for model, found in zip(group.models, outcomes[0].models, strict=True)
    )
    np.testing.assert_array_equal(gpus_of(data).sum(axis=0), held)


def test_traces_that_begin_at_different_times_are_told_by_the_first(group, outcomes):
    first, *others = group.models
    later = replace(first, setting=replace(first.setting, start_s=first.setting.start_s + 3600))
    assert "Times are UTC." in group_page(group, outcomes)
    assert "Times are UTC, those of chat." in group_page(replace(group, models=(later, *others)), outcomes)


def test_the_sentence_tells_how_much_is_late_by_each_division(group, outcomes):
    late = {outcome.name: words.share(outcome.late_fraction) for outcome in outcomes}
    told = group_json(group, outcomes)["sentence"]
    assert told.startswith(f"With 60 GPUs divided by Headstart, {late[HEADSTART]} of the work would have been late;")
    assert told.endswith(f"without a limit, on up to {outcomes[-1].gpus_max} GPUs, {late[UNLIMITED]}.")
