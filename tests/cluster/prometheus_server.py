"""A real Prometheus on loopback: history written as blocks by promtool, then live scrapes each second."""

from __future__ import annotations

import http.client
import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cluster.processes import Process, free_port

BINARIES = ("prometheus", "promtool", "setpriv")


def open_metrics(series: Mapping[str, Sequence[float]], *, start_s: float, step_s: float) -> str:
    """The series as OpenMetrics text, one sample each `step_s` seconds from `start_s` (Unix time); NaN: no sample."""
    lines = [
        f"{name} {float(value)!r} {start_s + index * step_s:.3f}"
        for name, values in sorted(series.items())
        for index, value in enumerate(values)
        if not math.isnan(value)
    ]
    return "\n".join([*lines, "# EOF", ""])


class PrometheusServer:
    """One Prometheus with its data below `folder`, which scrapes `exporter_port` each second once it is started.

    The order is `backfill` (any number of times), `start`, then `stop` and `start` as often as a test needs it: the
    address stays. Labels `job` and `instance` are dropped from scraped series, so that a series of the exporter
    continues the backfilled one of the same name.
    """

    def __init__(self, binaries: dict[str, Path], folder: Path, *, exporter_port: int) -> None:
        self.folder = folder
        self._promtool = binaries["promtool"]
        self._data = folder / "data"
        self._port = free_port()
        config = folder / "prometheus.yml"
        config.write_text(json.dumps(self._config(exporter_port)))
        command = [
            binaries["prometheus"],
            f"--config.file={config}",
            f"--storage.tsdb.path={self._data}",
            # The default of 15 days would delete older history at the start.
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self.process = Process("prometheus", command, log=folder / "prometheus.log")

    @property
    def url(self) -> str:
        """The address of the HTTP API."""
        return f"http://127.0.0.1:{self._port}"

    def backfill(self, series: Mapping[str, Sequence[float]], *, start_s: float, step_s: float) -> None:
        """Write history: `{'requests_total{app="a"}': values, ...}`, one value each `step_s` from `start_s`; NaN: none.

        Only while it is stopped (else `RuntimeError`): a running one looks for new blocks each minute only.
        100 series of 14 days at 1 minute take about 10 s.
        """
        if self.process.is_running():
            raise RuntimeError("backfill before start(): a running Prometheus takes a minute to see new blocks")
        text = self.folder / "history.txt"
        text.write_text(open_metrics(series, start_s=start_s, step_s=step_s))
        # promtool reads the file once per block: with blocks of 2 h that is 168 times for 14 days.
        longest = "--max-block-duration=744h"
        command = [self._promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", longest, text, self._data]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            raise AssertionError(f"promtool: {done.stdout}{done.stderr}")
        text.unlink()

    def start(self) -> None:
        """Start, or start again, and return once it answers queries (about 1 s). The first scrape comes 5 s later."""
        self.process.start()
        self.process.wait_until_ready(lambda: self._get("/-/ready")[0] == 200, timeout_s=90)

    def stop(self) -> None:
        """Stop answering; samples are kept for the next start."""
        self.process.stop()

    def query(self, promql: str) -> list[dict[str, Any]]:
        """The result of an instant query now, as the HTTP API gives it: `[{"metric": ..., "value": [t, "1"]}, ...]`."""
        status, body = self._get("/api/v1/query?" + urlencode({"query": promql}))
        if status != 200:
            raise AssertionError(f"{promql}: HTTP {status}: {body[:500]!r}")
        result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return result

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @staticmethod
    def _config(exporter_port: int) -> dict[str, Any]:
        scrape = {
            "job_name": "exporter",
            "static_configs": [{"targets": [f"127.0.0.1:{exporter_port}"]}],
            "metric_relabel_configs": [{"action": "labeldrop", "regex": "job|instance"}],
        }
        return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
