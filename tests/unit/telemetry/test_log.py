"""The operator's log: JSON lines, each message once a minute."""

from __future__ import annotations

import json
import logging
import re

from autoscaler.telemetry.log import ForwardingHandler, Log


def test_a_message_comes_once_a_minute():
    lines, now_s = [], [0.0]
    log = Log(lines.append, now_s=lambda: now_s[0])
    for at_s in (0.0, 15.0, 59.0, 61.0):
        now_s[0] = at_s
        log.warning("no answer")
        log.info("other")
    assert [json.loads(line)["message"] for line in lines] == ["no answer", "other"] * 2
    assert json.loads(lines[0]) == {
        "kind": "Log",
        "level": "warning",
        "time": "1970-01-01T00:00:00Z",
        "message": "no answer",
    }


def test_a_clock_that_is_set_back_silences_nothing():
    lines, now_s = [], [10_000.0]
    log = Log(lines.append, now_s=lambda: now_s[0])
    log.info("no answer")
    now_s[0] = 100.0
    log.info("no answer")
    assert len(lines) == 2


def test_what_a_thousand_objects_miss_is_told_in_part():
    lines, now_s = [], [0.0]
    log = Log(lines.append, now_s=lambda: now_s[0])
    for tick in range(40):
        now_s[0] = 15.0 * tick
        for number in range(1_000):
            log.warning(f"no answer for {number} in {tick}")
    assert len(log._told_s) <= 300
    messages = [json.loads(line)["message"] for line in lines]
    assert len(messages) == 10 * 300 + 9
    assert messages.count("3,700 more messages came in a minute and were left out") == 9


def test_library_warnings_are_forwarded_in_one_line():
    lines = []
    logger = logging.Logger("lib")
    logger.addHandler(ForwardingHandler(Log(lines.append)))
    try:
        raise ValueError("bad")
    except ValueError:
        logger.exception("it\nfailed")
    logger.info("chatter")
    (line,) = lines
    assert re.fullmatch(r"lib: it failed: ValueError\('bad'\) at test_log\.py:\d+", json.loads(line)["message"])
