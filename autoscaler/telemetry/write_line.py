"""A write that came in a later tick than its decision, as one line of JSON.

The decision's own line is written by then, and says what its first attempt met. Of two replicas it may be the other's:
whoever takes over carries out what it had decided as a standby.
"""

from __future__ import annotations

import json
import math

from autoscaler.telemetry.decision_line import rfc3339
from autoscaler.telemetry.json_fields import Fields, number_content
from autoscaler.telemetry.load_fields import done_content, read_done
from autoscaler.telemetry.record import Write

# How a write begins, also behind the prefixes of `kubectl logs --prefix --timestamps`.
OPENING = '{"kind":"Write",'


def to_write_line(write: Write) -> str:
    """The write as one line of ASCII without its end."""
    content = {
        "kind": "Write",
        "time": rfc3339(write.time_s),
        "time_s": number_content(write.time_s),
        "namespace": write.namespace,
        "name": write.name,
        "decided_s": None if write.decided_s is None else number_content(write.decided_s),
        "placeholders": write.placeholders,
        "done": done_content(write.done),
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def from_write_line(text: str, *, where: str = "write line") -> Write:
    """The write that `to_write_line` wrote. UsageError, which begins with `where`, for anything else."""
    line = Fields.parse(text, where)
    if (kind := line.text("kind")) != "Write":
        line.refuse("kind", f"must be 'Write', not {kind!r:.40}")
    decided_s = line.number("decided_s")
    return Write(
        time_s=line.number("time_s"),
        namespace=line.text("namespace"),
        name=line.text("name"),
        decided_s=None if math.isnan(decided_s) else decided_s,
        placeholders=line.boolean("placeholders"),
        done=read_done(line.fields("done")),
    )
