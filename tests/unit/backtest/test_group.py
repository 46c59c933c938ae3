"""Several traces on one number of GPUs: the cap in every bin, what a budget is worth, and the file that states it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from autoscaler.backtest.cluster import bins_of
from autoscaler.backtest.group import DIVISIONS, HEADSTART, UNLIMITED, Group, Model, run_group
from autoscaler.backtest.group_file import read_group, remarks
from autoscaler.backtest.headstart import replay_headstart
from autoscaler.backtest.setting import Setting
from autoscaler.cli import app as cli
from autoscaler.core.load_latency import LoadLatency
from autoscaler.errors import UsageError
from autoscaler.report.facts import model_facts

_BINS = 400
_BIN_S = 300.0


def wave(level: float, phase: float, *, seed: int, spread: float = 0.6) -> np.ndarray:
    """Replicas wanted per bin: a season of 48 bins with noise."""
    t = np.arange(_BINS)
    noise = np.random.default_rng(seed).normal(1.0, 0.05, _BINS)
    return level * (1.0 + spread * np.sin(2 * np.pi * (t / 48 + phase))) * noise


@pytest.fixture
def model(setting_of_demand):
    def make(name, replicas, *, gpus=1, priority=0, minimum=0, drain_s=0.0):
        setting = setting_of_demand(replicas)
        return Model(name, replace(setting, replicas_min=minimum, drain_s=drain_s), gpus, priority)

    return make


@pytest.fixture
def setting_of_demand():
    def make(replicas):
        return Setting(
            trace_name="wave",
            start_s=0.0,
            bin_s=_BIN_S,
            demand_rps={"requests": replicas},
            capacity_rps={"requests": 1.0},
            arrivals_rs=replicas * _BIN_S,
            load_latency=LoadLatency.constant(600.0),
            max_wait_s=10.0,
            late_budget=0.01,
            score_from_bin=200,
        )

    return make


@pytest.mark.parametrize("drain_s", [0.0, 450.0])
@pytest.mark.parametrize("name", [name for name in DIVISIONS if name != UNLIMITED])
def test_no_division_holds_more_than_the_cap_in_any_bin(model, name, drain_s):
    group = Group(
        13,
        (
            model("a", wave(4, 0.0, seed=1), minimum=1, drain_s=drain_s),
            model("b", wave(2, 0.5, seed=2), gpus=3, priority=1, drain_s=drain_s),
            model("c", wave(3, 0.3, seed=3), gpus=2, minimum=1, drain_s=drain_s),
        ),
    )
    outcome = run_group(group, name)
    assert 8 < outcome.gpus_max <= 13
    most = [one.gpus_max for one in outcome.models]
    assert max(most) <= outcome.gpus_max <= sum(most)
    for one, found in zip(group.models, outcome.models, strict=True):
        held = one.gpus_per_replica * np.ceil(bins_of(one.setting, found.outcome).paid)
        assert found.gpus_max == held.max()
    assert any(one.cut_fraction > 0.05 for one in outcome.models)


def test_in_bins_of_seconds_it_is_decided_once_per_interval_as_alone(setting_of_demand):
    seconds = np.random.default_rng(0).poisson(3.0, 3_000).astype(np.float64)
    setting = replace(
        setting_of_demand(seconds), bin_s=1.0, arrivals_rs=seconds, load_latency=LoadLatency.constant(90.0)
    )
    (together,) = run_group(Group(1_000, (Model("a", setting, 1, 0),)), HEADSTART).models
    alone = replay_headstart(setting).outcome
    assert (together.gpu_hours, together.late_fraction) == (alone.replica_hours, alone.late_fraction)


def test_with_room_for_all_everybody_does_as_alone(model):
    models = (model("a", wave(4, 0.0, seed=1)), model("b", wave(2, 0.5, seed=2), gpus=3))
    together = run_group(Group(1_000, models), HEADSTART)
    free = run_group(Group(1, models), UNLIMITED)
    assert together.models == free.models


def test_the_same_gpus_come_to_more_than_by_other_divisions(model):
    """Two models whose peaks alternate: what one has too much of, the other lacks."""
    group = Group(
        11, (model("day", wave(4, 0.0, seed=1, spread=0.9)), model("night", wave(4, 0.5, seed=2, spread=0.9)))
    )
    late = {name: run_group(group, name).late_fraction for name in DIVISIONS}
    assert late[HEADSTART] < 0.7 * late["equal parts"]
    assert late[HEADSTART] <= late["first come"]


def test_a_burst_that_is_over_before_a_replica_loads_takes_no_gpus_from_steady_work(model):
    """A tenant's four bins in every seventeen, and work that loads for longer than those last."""
    t = np.arange(_BINS)
    noise = np.random.default_rng(4).normal(1.0, 0.03, _BINS)
    burst, steady = model("burst", 1.0 + 6.0 * (t % 17 < 4)), model("steady", 6.0 * noise)
    slow = replace(steady.setting, load_latency=LoadLatency.constant(10 * _BIN_S))
    group = Group(11, (burst, replace(steady, setting=slow)))
    ours, equal_parts = (run_group(group, name) for name in (HEADSTART, "equal parts"))
    assert ours.models[1].late_fraction < 0.15
    assert ours.late_fraction < 0.5 * equal_parts.late_fraction


def test_a_higher_priority_hardly_feels_the_other(model):
    low, high = model("low", wave(5, 0.0, seed=1)), model("high", wave(4, 0.0, seed=2), priority=1)
    alone = run_group(Group(100, (high,)), HEADSTART).models[0]
    outcome = run_group(Group(9, (low, high)), HEADSTART)
    assert outcome.models[1].late_fraction <= alone.late_fraction + 0.02
    assert outcome.models[0].late_fraction > 10 * outcome.models[1].late_fraction


def write(folder, text) -> str:
    times = np.datetime_as_string(np.datetime64(1_700_000_000, "s") + 300 * np.arange(_BINS), timezone="UTC")
    for name, level in (("a", 4.0), ("b", 2.0)):
        counts = np.round(wave(level, 0.0, seed=1) * 300)
        rows = [f"{time},{count:.0f}" for time, count in zip(times, counts, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["timestamp,requests", *rows]) + "\n")
    path = folder / "group.yaml"
    path.write_text(text)
    return str(path)


GOOD = """\
gpus: 7
models:
  - {name: a, trace: a.csv, capacity: 1, loadLatency: 10m}
  - {name: b, trace: b.csv, capacity: 1, loadLatency: 10m, gpusPerReplica: 2, priority: 5, minReplicas: 1}
"""


def test_a_file_states_a_group_with_paths_relative_to_it(tmp_path):
    group = read_group(Path(write(tmp_path, GOOD)), score_from=0.25)
    assert (group.gpus, [model.name for model in group.models]) == (7, ["a", "b"])
    second = group.models[1]
    assert (second.gpus_per_replica, second.priority, second.setting.replicas_min) == (2, 5, 1)
    assert second.setting.score_from_bin == 100
    assert not list(remarks(group))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gpus: 7", "gpus: 0", ":1: gpus: must be at least 1, got 0"),
        ("gpus: 7", "gpus: 1", ":1: gpus: must hold the GPUs of every minReplicas together, got 1; raise it"),
        ("gpusPerReplica: 2, priority: 5, minReplicas: 1", "gpusPerReplica: 8", ":1: gpus: must hold a replica of"),
        ("name: b", "name: a", ":4: models[1].name: 'a' is the name of models[0] already; give one of them another"),
        ("priority", "prioritty", ":4: models[1].prioritty: is no field of models[1]; did you mean priority?"),
        ("capacity: 1", "capacity: '1'", ":3: models[0].capacity: must be a number, got '1'"),
        ("minReplicas: 1", "minReplicas: 3, maxReplicas: 2", ":4: models[1].minReplicas: must be at most maxReplicas"),
        ("a.csv", "no.csv", "/no.csv; a path is from the folder that this file is in"),
        ("a.csv", "no.csv", "group.yaml:3: models[0].trace: there is no /"),
        ("capacity: 1", "capacity: 1e-7", ":3: models[0]: capacity: the trace's peak would need 6"),
        ("10m}", "10m, timeZone: Nowhere}", ":3: models[0].timeZone: must be an IANA time zone such as Europe/Berlin"),
        (
            "10m}",
            "10m, maxReplicas: 2, schedule: [{name: x, cron: 0 9 * * *, duration: 1h, atLeast: 3}]}",
            ":3: models[0]: schedule: x asks for at least 3 replicas, more than maxReplicas 2; lower it or raise maxR",
        ),
        (
            "10m}",
            "Stable-Diffusion}",
            ":3: models[0].loadLatency: 'Stable-Diffusion' is not a load latency; did you mean",
        ),
        ("10m}", "empirical:no.csv}", "/no.csv: can't be read: No such file or directory"),
        ("10m}", "[10m]}", ':3: models[0].loadLatency: ["10m"] is not a load latency; write it as 600s, lognormal:'),
        ("capacity: 1", "capacity: 1e300", ":3: models[0].capacity: must be at most 1e+15, got 1e+300"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path, old, new, said):
    with pytest.raises(UsageError) as error:
        read_group(Path(write(tmp_path, GOOD.replace(old, new, 1))), score_from=0.5)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("stated", "label"),
    [
        ("1h30m", "5400s"),
        ("600", "600s"),
        ("'lognormal:2m,0.5'", "lognormal:120s,0.5"),
        ("stable-diffusion", "stable-diffusion"),
        ("empirical:loads.csv", "loads.csv"),
    ],
)
def test_a_load_latency_is_stated_as_it_is_typed(tmp_path, stated, label):
    (tmp_path / "loads.csv").write_text("load_s\n20\n40\n")
    group = read_group(Path(write(tmp_path, GOOD.replace("10m", stated, 1))), score_from=0.25)
    assert group.models[0].setting.load_latency.label == label


def test_a_model_has_its_events_and_its_clocks(tmp_path):
    event = "{name: NAME, at: 'YEAR-11-15T20:00:00Z', duration: 1h, atLeast: 20}"
    events = ", ".join(event.replace("NAME", f"in-{year}").replace("YEAR", year) for year in ("2023", "2029"))
    given = GOOD.replace("10m}", f"10m, timeZone: Europe/Berlin, schedule: [{events}]}}").replace("gpus: 7", "gpus: 30")
    group = read_group(Path(write(tmp_path, given)), score_from=0.25)
    assert model_facts(group.models[0])["schedule"] == "in-2023, in-2029"
    assert [model.setting.time_zone for model in group.models] == ["Europe/Berlin", "UTC"]
    (warning,) = remarks(group)
    assert warning.startswith("a: schedule: in-2029 doesn't come within a, from 2023-11-14T22:13:20Z")
    a = group.models[0].setting
    first = round((datetime(2023, 11, 15, 20, tzinfo=UTC).timestamp() - a.start_s) / a.bin_s)
    desired = run_group(group, HEADSTART).models[0].outcome.desired
    assert min(desired[first : first + 11]) >= 20 > max(desired[: first - 3])


def test_the_command_prints_a_table_and_json(tmp_path):
    path = write(tmp_path, GOOD)
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["backtest-group", path])
    assert shown.exit_code == 0
    assert "first come, first served" in shown.stdout
    told = json.loads(runner.invoke(cli.app, ["backtest-group", path, "--json"]).stdout)
    assert set(told["divisions"]) == set(DIVISIONS)
    assert told["divisions"]["headstart"]["gpus_max"] <= 7
