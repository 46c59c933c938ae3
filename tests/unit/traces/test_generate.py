"""Recipes and what is made from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from autoscaler.errors import UsageError
from autoscaler.traces.generate import generate
from autoscaler.traces.recipe import Bursts, Day, Noise, Outage, Peak, Recipe, Shift, Tokens, load_recipe, save_recipe
from autoscaler.traces.write import write_trace

DATA = Path(__file__).resolve().parents[3] / "data"
BUNDLED = ["agents", "chat", "code"]

PLAIN = Recipe("plain", seed=1, start=datetime(2025, 3, 3, tzinfo=UTC), days=14, bin_s=3600, base_rps=10)
RICH = replace(
    PLAIN,
    name='odd "name" \\ ü\n',
    day=Day(low=0.1, peaks=(Peak(hour=14.5, width_h=4, flatness=2), Peak(hour=21, width_h=2, height=0.5))),
    week=(1, 1.5, 1, 1, 1, 0.5, 0),
    shifts=(Shift(day=3, factor=2, ramp_h=6),),
    bursts=Bursts(per_day=3, size=2, rise_s=60, hold_s=5, decay_s=600),
    noise=Noise(wander=0.1, overdispersion=1e-5),
    tokens=Tokens(prompt_mean=100, output_mean=20.5, variation=0.5),
    outages=(Outage(day=1, hours=2),),
    time_zone="Europe/Berlin",
)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_trace_is_what_its_recipe_makes_byte_for_byte(tmp_path: Path, name: str) -> None:
    write_trace(generate(load_recipe(DATA / f"{name}.toml")), tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (DATA / f"{name}.csv").read_bytes()


def test_bundled_traces_stay_small_and_each_has_its_recipe() -> None:
    assert sorted(path.stem for path in DATA.glob("*.csv")) == BUNDLED
    assert sorted(path.stem for path in DATA.glob("*.toml")) == BUNDLED
    assert all(path.stat().st_size < 300_000 for path in DATA.iterdir())


def test_the_seed_decides() -> None:
    first, again, other = generate(RICH), generate(RICH), generate(RICH, seed=2)
    for unit, values in first.demand.items():
        np.testing.assert_array_equal(values, again.demand[unit])
        assert not np.array_equal(values, other.demand[unit], equal_nan=True)


def test_leaving_out_a_part_leaves_the_others_as_they_were() -> None:
    calm = generate(replace(RICH, bursts=Bursts()))
    stormy = generate(replace(RICH, tokens=None, outages=()))
    same = calm.demand["requests"] == stormy.demand["requests"]
    assert 0.3 < same.mean() < 1


def test_the_day_is_by_the_clock_of_its_time_zone() -> None:
    morning = Day(low=0.0, peaks=(Peak(hour=8.5, width_h=0.5, flatness=10),))
    recipe = replace(PLAIN, start=datetime(2025, 3, 29, tzinfo=UTC), days=3, day=morning, time_zone="Europe/Berlin")
    busiest = generate(recipe).demand["requests"].reshape(3, 24).argmax(axis=1)
    assert busiest.tolist() == [7, 6, 6]


def test_the_mean_is_the_base_whatever_the_shape() -> None:
    shaped = generate(replace(PLAIN, day=RICH.day, week=RICH.week)).demand["requests"]
    flat = generate(PLAIN).demand["requests"]
    assert shaped.mean() / 3600 == pytest.approx(10, rel=0.01)
    assert flat.mean() / 3600 == pytest.approx(10, rel=0.01)


def test_days_peaks_and_weekends_are_where_the_recipe_says() -> None:
    requests = generate(replace(PLAIN, day=RICH.day, week=(1, 1, 1, 1, 1, 1, 0))).demand["requests"].reshape(14, 24)
    assert set(requests[:6].argmax(axis=1)) <= {13, 14, 15}
    assert (requests[[6, 13]] == 0).all()
    assert (requests[:6, 3] < 0.15 * requests[:6].max(axis=1)).all()


def test_hours_and_weekdays_follow_the_start() -> None:
    late = generate(replace(PLAIN, start=datetime(2025, 3, 9, 12, tzinfo=UTC), days=2, week=(1, 1, 1, 1, 1, 1, 0)))
    assert (late.demand["requests"] > 0).argmax() == 12
    assert late.start_s == datetime(2025, 3, 9, 12, tzinfo=UTC).timestamp()


def test_shifts_step_or_ramp_and_stay() -> None:
    requests = generate(
        replace(PLAIN, base_rps=100, shifts=(Shift(day=2, factor=3), Shift(day=5, factor=0.5, ramp_h=24)))
    )
    level = requests.demand["requests"] / 360_000
    np.testing.assert_allclose(level[:48], 1, atol=0.02)
    np.testing.assert_allclose(level[48:120], 3, atol=0.05)
    np.testing.assert_allclose(level[144:], 1.5, atol=0.03)
    assert (np.diff(level[120:144]) < 0.02).all()


def test_bursts_add_the_work_that_they_should() -> None:
    bursts = Bursts(per_day=20, size=2, rise_s=600, hold_s=1200, decay_s=1800)
    extra = generate(replace(PLAIN, days=100, bursts=bursts)).demand["requests"].mean() / 36_000 - 1
    assert extra == pytest.approx(20 * 2 * (300 + 1200 + 1800) / 86400, rel=0.1)


def test_counts_are_poisson_or_as_dispersed_as_asked_for() -> None:
    poisson = generate(replace(PLAIN, days=200)).demand["requests"]
    wide = generate(replace(PLAIN, days=200, noise=Noise(overdispersion=0.01))).demand["requests"]
    assert poisson.var() / poisson.mean() == pytest.approx(1, rel=0.1)
    assert wide.var() / wide.mean() == pytest.approx(1 + 0.01 * 36_000, rel=0.1)


def test_an_outage_is_missing_and_not_zero_in_every_unit() -> None:
    trace = generate(RICH)
    for values in trace.demand.values():
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [24, 25])


def test_tokens_follow_requests() -> None:
    demand = generate(replace(RICH, outages=())).demand
    assert (demand["prompt_tokens"][demand["requests"] == 0] == 0).all()
    assert demand["prompt_tokens"].sum() / demand["requests"].sum() == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize("recipe", [PLAIN, RICH], ids=["plain", "rich"])
def test_a_recipe_reads_back_as_saved(tmp_path: Path, recipe: Recipe) -> None:
    save_recipe(recipe, tmp_path / "recipe.toml")
    assert load_recipe(tmp_path / "recipe.toml") == recipe


GOOD = 'name = "a"\nseed = 1\nstart = 2025-03-03T00:00:00Z\ndays = 2\nbin_s = 300\nbase_rps = 3\n'


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (GOOD.replace("days = 2\n", ""), "'days' is missing"),
        (GOOD + "day_s = 2\n", "'day_s' is unknown; remove it"),
        (GOOD + "[day]\nlow = 2\n", "'day.low' = 2: input should be less than or equal to 1"),
        (
            GOOD + "[[day.peaks]]\nhour = 1\nwidth_h = 1\n[[day.peaks]]\nhour = 25\nwidth_h = 1\n",
            "'day.peaks[1].hour' = 25",
        ),
        (
            # No minute of the day saw anything of such a peak, and its mean was 0.
            GOOD + "[day]\nlow = 0\n[[day.peaks]]\nhour = 1\nwidth_h = 0.0001\n",
            "'day.peaks[0].width_h' = 0.0001: input should be greater than or equal to 0.0166",
        ),
        (GOOD + "[bursts]\nsize = nan\n", "'bursts.size' = NaN: input should be a finite number"),
        (GOOD + "[bursts]\nsizes = 1\n", "'bursts.sizes' is unknown"),
        (GOOD + "week = [1, 1]\n", "'week' = [1, 1]: must have seven factors"),
        (GOOD + "week = [0, 0, 0, 0, 0, 0, 0]\n", "must have seven factors, Monday first, not all 0"),
        (GOOD.replace("00:00:00Z", "00:00:00"), "'start' = "),
        (GOOD.replace("days = 2", "days = 2e9"), "'days' and 'bin_s' make 576000000000 bins; allowed are 2 to"),
        (GOOD.replace("days = 2", "days = 0.001"), "'days' and 'bin_s' make 0 bins"),
        (GOOD + "x =\n", "is not TOML: Invalid value (at line 7, column 4)"),
    ],
)
def test_a_bad_recipe_gets_one_line_with_its_key(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert part in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"base_rps": 1e17}, "a: a bin would have 3e+19 requests; allowed are 1e+15"),
        ({"base_rps": 1e10, "tokens": Tokens(prompt_mean=1e4, output_mean=1.0)}, "prompt_tokens; allowed are 1e+15"),
        ({"outages": (Outage(day=0, hours=300),)}, "a: 'outages' leave no bin that is known; shorten them"),
    ],
)
def test_a_trace_that_could_not_be_read_again_is_refused(changed: dict[str, object], part: str) -> None:
    recipe = Recipe("a", seed=1, start=datetime(2025, 3, 3, tzinfo=UTC), days=2, bin_s=300, **{"base_rps": 3} | changed)
    with pytest.raises(UsageError) as caught:
        generate(recipe)
    assert part in str(caught.value)


def test_a_recipe_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        load_recipe(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_recipe(tmp_path / "binary.toml")
