"""What /healthz fails by."""

from __future__ import annotations

from autoscaler.controller.clock import VirtualClock
from autoscaler.controller.process import _problem
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
