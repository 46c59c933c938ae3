"""What /healthz fails by, and how a process ends that hasn't begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from autoscaler.controller.clock import VirtualClock
from autoscaler.controller.process import _problem, _silent_s_max
from autoscaler.keda.attach import ExternalScaler
from autoscaler.keda.desk import Desk
from autoscaler.keda.messages import Listening
from autoscaler.telemetry.server import Heartbeat


class Troubled(Desk):
    """Says what it is told to."""

    said = ""

    def problem(self) -> str:
        return self.said


def test_healthz_fails_by_the_loop_or_by_what_takes_part_in_it() -> None:
    now_s = [0.0]
    heartbeat = Heartbeat(limit_s=75.0, start_limit_s=300.0, monotonic_s=lambda: now_s[0])
    desk = Troubled(Listening("127.0.0.1:0"))
    problem = _problem(heartbeat, ExternalScaler(desk, VirtualClock(0.0, speed=1.0)))
    assert problem() == ""
    desk.said = "the process that answers KEDA was last heard of 30 s ago"
    assert problem() == desk.said
    now_s[0] = 301.0
    assert "has not ticked" in problem()
    desk.said = ""
    assert problem() == _problem(heartbeat, None)()


def test_a_short_tick_leaves_time_for_a_call_that_hangs() -> None:
    assert [_silent_s_max(tick_s) for tick_s in (1.0, 15.0, 60.0)] == [75.0, 75.0, 300.0]


# Ends it at the 50th of some 3,000 passes of the compiler, as SIGTERM may.
_ENDED_WHILE_IT_COMPILES = """
from threading import Event
from numba.core.event import Listener, install_listener
from autoscaler.controller.no_cluster import NoCluster
from autoscaler.controller.process import Alone, Process, World, run_process
from autoscaler.sources.connection import Connection

passes, stop, done = [], Event(), []

class Passes(Listener):
    def on_start(self, event):
        passes.append(event)
        if len(passes) == 50:
            stop.set()

    def on_end(self, event):
        pass

class Candidate(Alone):
    def start(self):
        done.append("leads")

def make_world(_log, _metrics, ending):
    ending.callback(done.append, "ended")
    return World(NoCluster(), NoCluster(), Candidate())

with install_listener("numba:run_pass", Passes()):
    process = Process(Connection(url="http://127.0.0.1:9"), 15.0, "127.0.0.1", 0)
    run_process(process, make_world, stop, on_start=lambda port: None)
print(len(passes), *done)
"""


def test_an_end_is_not_waited_for_while_kernels_are_compiled(tmp_path: Path) -> None:
    program = [sys.executable, "-c", _ENDED_WHILE_IT_COMPILES]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (ended.stderr, ended.returncode) == ("", 0)
    passes, *done = ended.stdout.split()
    assert int(passes) <= 51
    assert done == ["ended"]
