"""Whether the live controller reaches what it must: `make benchmark-controller`, about ten minutes on two cores.

The process is `headstart run`, as users start it. The API server and Prometheus are HTTP stand-ins in processes of
their own (`api_stand_in`, `prometheus_stand_in`); the latter answers in 20 ms. Objects have ten pods each, two weeks of
history in bins of a minute, and six queries.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fleet import name_of
from processes import Controller, StandIn

from autoscaler.controller.controller import SETTLE_S
from autoscaler.controller.warm import warm_kernels

pytestmark = pytest.mark.timeout(1_200)

OBJECTS = 1_000
TICK_S = 15.0
INTERVAL_S = 60.0
MEASURED_TICKS = 10
# Objects whose demand stays level, until it doubles at these times after a bin's end.
CHANGES_S = {8: 0.5, 9: 8.0, 10: 15.5, 11: 30.5, 12: 45.5}
CORES_MAX = 1.0
RSS_MIB_MAX = 1_024.0
TICK_S_MAX = 10.0
READY_S_MAX = 60.0
_TICK_SUM = "headstart_tick_seconds_sum"


Row = tuple[str, str, str]


@pytest.fixture(scope="module")
def table(request) -> Iterator[list[Row]]:
    """Rows of what was measured and its target, shown at the end."""
    rows: list[Row] = [("", "measured", "must be")]
    yield rows
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


@contextmanager
def running(folder: Path, objects: int, cache: Path | None = None) -> Iterator[tuple[Controller, StandIn, StandIn]]:
    if cache is None:
        # Another checkout's caches may have taken the place of this one's.
        warm_kernels()
    with (
        StandIn("prometheus_stand_in.py") as prometheus,
        StandIn("api_stand_in.py", objects) as api,
        Controller(
            folder, kubeconfig=api.about["kubeconfig"], prometheus_url=prometheus.about["url"], cache=cache
        ) as controller,
    ):
        yield controller, api, prometheus


def test_ready_with_100_objects(tmp_path, table):
    with running(tmp_path, 100) as (controller, _, _):
        ready_s = controller.wait_until_ready(300)
        used = controller.usage()
    table.append(("100 objects: process start to /readyz", f"{ready_s:.1f} s", f"below {READY_S_MAX:.0f} s"))
    table.append(("  its CPU time", f"{used.cpu_s:.1f} s", ""))
    assert ready_s < READY_S_MAX


def test_ready_with_100_objects_after_installation(tmp_path, table):
    with running(tmp_path, 100, cache=tmp_path / "cache") as (controller, _, _):
        ready_s = controller.wait_until_ready(600)
        used = controller.usage()
    table.append(("  with kernels to compile", f"{ready_s:.1f} s", ""))
    table.append(("  its CPU time", f"{used.cpu_s:.1f} s", ""))


def test_a_thousand_objects(tmp_path, table):
    with running(tmp_path, OBJECTS) as (controller, api, prometheus):
        ready_s = controller.wait_until_ready(900)
        ready = controller.usage()
        changes_s = double_demands(prometheus)
        measured = measure(controller, api)
        waits_s = waits_of(changes_s, api)
        end = controller.usage()
    within_s = f"{TICK_S:.0f} s + {SETTLE_S:.0f} s"
    table += [
        (f"{OBJECTS:,} objects: process start to /readyz", f"{ready_s:.0f} s", ""),
        ("  its CPU time", f"{ready.cpu_s:.0f} s", ""),
        *rows_of(measured),
        ("  memory (RSS)", f"{end.rss_mib:.0f} MiB, at most {end.rss_peak_mib:.0f}", f"below {RSS_MIB_MAX:.0f} MiB"),
        ("  from a change in Prometheus to the patch", f"at most {max(waits_s):.1f} s", within_s),
    ]
    assert measured.longest_s < TICK_S_MAX
    assert measured.cores < CORES_MAX
    assert measured.unchanged == measured.reads == 0
    assert end.rss_peak_mib < RSS_MIB_MAX
    assert max(waits_s) < TICK_S + SETTLE_S + measured.longest_s


@dataclass(frozen=True)
class Measured:
    """Some ticks: seconds by step of each, what the API was asked for in all of them, and the cores used."""

    ticks: list[dict[str, float]]
    asked: Counter[str]
    cores: float

    @property
    def longest_s(self) -> float:
        return max(sum(tick.values()) for tick in self.ticks)

    @property
    def unchanged(self) -> int:
        """Writes that left the object as it was."""
        return sum(count for what, count in self.asked.items() if what.endswith("without a change"))

    @property
    def reads(self) -> int:
        """All but the Lease's; watches are no reads."""
        reads = {what: count for what, count in self.asked.items() if what.startswith(("GET", "LIST"))}
        return sum(count for what, count in reads.items() if "leases" not in what)


def rows_of(measured: Measured) -> list[Row]:
    rows = [(f"  longest of {len(measured.ticks)} ticks", f"{measured.longest_s:.2f} s", f"below {TICK_S_MAX:.0f} s")]
    for step in sorted(measured.ticks[0]):
        each_s = [tick[step] for tick in measured.ticks]
        rows.append((f"    {step}", f"mean {sum(each_s) / len(each_s):.3f} s, longest {max(each_s):.3f} s", ""))
    rows.append(("  cores, on average", f"{measured.cores:.3f}", f"below {CORES_MAX:.0f}"))
    rows += [(f"  {what}", f"{count}", "") for what, count in sorted(measured.asked.items())]
    rows.append(("  writes without a change, reads", f"{measured.unchanged}, {measured.reads}", "none"))
    return rows


def measure(controller: Controller, api: StandIn) -> Measured:
    """Scrape once per tick."""
    ticks: list[dict[str, float]] = []
    api.ask()
    begin = controller.usage()
    before = steps_of(controller)
    for _ in range(MEASURED_TICKS):
        # Half a tick away from the ticks themselves.
        now_s = time.time()
        time.sleep(TICK_S - (now_s - TICK_S / 2) % TICK_S)
        after = steps_of(controller)
        ticks.append({step: after[step] - before[step] for step in after})
        before = after
    cores = controller.usage().cores_since(begin)
    return Measured(ticks, Counter(api.ask()["asked"]), cores)


def steps_of(controller: Controller) -> dict[str, float]:
    samples = controller.scrape().items()
    return {labels[len('step="') : -1]: value for (name, labels), value in samples if name == _TICK_SUM}


def double_demands(prometheus: StandIn) -> dict[str, float]:
    """When the demand of some objects will double: at different times of a bin that ends while ticks are measured."""
    start_s = (time.time() // INTERVAL_S + 1) * INTERVAL_S
    changes_s = {name_of(number): start_s + after_s for number, after_s in CHANGES_S.items()}
    for name, from_s in changes_s.items():
        prometheus.ask(service=name, from_s=from_s, factor=2.0)
    return changes_s


def waits_of(changes_s: dict[str, float], api: StandIn) -> list[float]:
    """Seconds from each change to the first patch after it."""
    scaled_s = api.ask()["scaled_s"]
    return [min(at_s for at_s in scaled_s[name] if at_s > from_s) - from_s for name, from_s in changes_s.items()]
