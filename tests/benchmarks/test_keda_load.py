"""Whether KEDA is answered as fast as it must be: `make benchmark-keda`, about ten minutes on two cores.

`headstart keda serve` is started as users start it, against `prometheus_stand_in`; the callers of tests/cluster/keda,
in Go with KEDA's own client code, poll 1,000 ScaledObjects once a second, with the three calls of KEDA's poll each:
3,000 calls a second. Both are processes of their own, on the same cores.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import StandIn

from autoscaler.controller.warm import warm_kernels

pytestmark = pytest.mark.timeout(1_500)

CALLERS = Path(sys.prefix) / "keda-callers"  # `make benchmark-keda` builds it
OBJECTS = 1_000
SECONDS = 180
P99_MS_MAX = 5.0
_DECIDED = re.compile(r'"name":"(m-\d+-keda-\w+)"')


@contextmanager
def serving(folder: Path, prometheus_url: str) -> Iterator[str]:
    """`headstart keda serve`; where it answers."""
    options = ["--listen", "127.0.0.1:19090", "--metrics-listen", "127.0.0.1:0"]
    command = [Path(sys.executable).with_name("headstart"), "keda", "serve", "--prometheus", prometheus_url, *options]
    with (folder / "stdout").open("wb") as decisions, (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(command, stdout=decisions, stderr=log)
    try:
        end_s = time.monotonic() + 60
        while "gRPC at" not in (folder / "stderr").read_text():
            assert process.poll() is None, (folder / "stderr").read_text()
            assert time.monotonic() < end_s, "it doesn't start"
            time.sleep(0.1)
        yield options[1]
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until_all_are_decided_on(decisions: Path, timeout_s: float) -> float:
    """Seconds that it took."""
    begin_s = time.monotonic()
    while len(set(_DECIDED.findall(decisions.read_text()))) < OBJECTS:
        assert time.monotonic() < begin_s + timeout_s, "histories aren't read"
        time.sleep(5)
    return time.monotonic() - begin_s


def test_a_thousand_scaled_objects_polled_every_second(tmp_path, capsys):
    warm_kernels()
    with (
        StandIn("prometheus_stand_in.py") as prometheus,
        serving(tmp_path, prometheus.about["url"]) as address,
        StandIn(CALLERS, address, OBJECTS) as callers,
    ):
        callers.ask(seconds=1)
        decided_s = wait_until_all_are_decided_on(tmp_path / "stdout", timeout_s=900)
        callers.ask(seconds=5)
        measured = callers.ask(seconds=SECONDS)
    with capsys.disabled():
        sys.stdout.write(f"\n{OBJECTS:,} triggers: first call to the last first decision {decided_s:.0f} s\n")
        for call, ms in measured["ms"].items():
            rate = f"{measured['calls'][call] / SECONDS:,.0f}/s"
            times = f"p50 {ms['p50']:.2f} ms  p99 {ms['p99']:.2f} ms  longest {ms['max']:.1f} ms"
            sys.stdout.write(f"{call:14} {rate}  {times}\n")
        late_ms = measured["late_ms"]
        sys.stdout.write(f"polls began late by p50 {late_ms['p50']:.2f} ms, p99 {late_ms['p99']:.2f} ms\n")
    assert measured["failed"] == {}
    assert measured["ms"]["GetMetrics"]["p99"] < P99_MS_MAX
