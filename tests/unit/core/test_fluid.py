"""The fluid queue of one bin: by hand, and against a queue moved on in milliseconds."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.core.fluid import serve_bin


@pytest.mark.parametrize(
    ("backlog", "arrivals", "ready", "end", "late"),
    [
        (0, 0, 0, 0, 0),
        (0, 60, 0, 60, 60),  # no replica: all are late
        (7, 0, 0, 7, 0),
        (0, 120, 2, 0, 0),  # exactly at capacity, nothing queued
        (20, 120, 2, 20, 0),  # 20 queued at 2 replicas are 10 s: not more than the longest wait
        (20.1, 120, 2, 20.1, 120),
        (0, 240, 2, 120, 200),  # the queue grows by 2 per second and passes 20 after 10 s of 60
        (60, 60, 2, 0, 40),  # it falls by 1 per second and is below 20 after 40 s
        (500, 60, 2, 440, 60),
        (30, 0, 2, 0, 0),  # nobody arrives, so nobody is late
    ],
)
def test_by_hand(backlog, arrivals, ready, end, late):
    assert serve_bin(float(backlog), float(arrivals), float(ready), 60.0, 10.0) == pytest.approx((end, late))
    assert serve_bin.py_func(float(backlog), float(arrivals), float(ready), 60.0, 10.0) == pytest.approx((end, late))


@pytest.mark.parametrize("seed", range(20))
def test_a_queue_moved_on_in_milliseconds_ends_the_same(seed):
    rng = np.random.default_rng(seed)
    backlog, arrivals, ready = 12 * rng.random(), 30 * rng.random(), int(rng.integers(0, 7))
    bin_s, max_wait_s, step_s = 5.0, 2 * rng.random(), 0.001
    queue, late = backlog, 0.0
    arriving = arrivals / bin_s * step_s
    for _ in range(5000):
        if ready == 0 or queue > ready * max_wait_s:
            late += arriving
        queue = max(0.0, queue + arriving - ready * step_s)
    assert serve_bin(backlog, arrivals, float(ready), bin_s, max_wait_s) == pytest.approx((queue, late), abs=0.02)
