"""Metrics as Prometheus reads them: what is unknown or old is absent, and what goes leaves nothing behind."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import numpy as np
import pytest
from decision_records import MORNING_S, PATCHED, make_outlook, make_record, make_spec, without_history
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.core.risk import LEVELS
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.object_families import QUANTILE_INDICES, QUANTILES
from autoscaler.telemetry.record import Record
from autoscaler.telemetry.scaler_figures import ScalerFigures

BIN_S = 60.0


class Scraped:
    """Metrics on a clock that the test sets, and what a scrape of them holds."""

    def __init__(self) -> None:
        self.now_s = MORNING_S
        self.metrics = Metrics(version="1.2.3", now_s=lambda: self.now_s)

    def decided(self, record: Record) -> None:
        self.now_s = record.observation.now_s
        self.metrics.decided(record, {"requests": record.outlook.needs[0] * 3.2})

    def samples(self) -> dict[tuple[str, ...], float]:
        """Value by (name, label values sorted by the labels' names), of our own metrics."""
        text = self.metrics.text().decode()
        return {
            (sample.name.removeprefix("headstart_"), *(sample.labels[label] for label in sorted(sample.labels))): (
                sample.value
            )
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("headstart_") and not sample.name.endswith("_created")
        }

    def names(self, *, of: str = "chat") -> set[str]:
        return {key[0] for key in self.samples() if of in key}


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_the_exported_levels_are_those_that_the_core_forecasts() -> None:
    assert LEVELS[QUANTILE_INDICES].tolist() == list(QUANTILES)


def test_a_decision_shows_what_it_saw_wants_and_did(scraped: Scraped) -> None:
    record = make_record()
    scraped.decided(record)
    scraped.metrics.late("shop", "chat", 0.004)
    samples = scraped.samples()
    of_object = ("chat", "shop")
    assert samples["desired_replicas", *of_object] == record.decision.desired
    assert samples["ready_replicas", *of_object] == 3
    assert samples["loading_replicas", *of_object] == 2
    assert samples["forecast_replicas", *of_object, "0.5"] == record.decision.median_at_lead
    assert samples["forecast_demand", *of_object, "0.5", "requests"] == record.decision.median_at_lead * 3.2
    assert samples["demand_actual", *of_object, "requests"] == 3.9 * 3.2
    assert samples["demand_replicas", *of_object] == 3.9
    assert samples["load_latency_seconds", *of_object, "0.9"] == record.spec.load_latency.quantile_s(0.9)
    assert samples["late_share", *of_object] == 0.004
    assert samples["late_budget", *of_object] == 0.01
    assert samples["metrics_age_seconds", *of_object] == 0
    assert samples["actions_total", "Patched", *of_object, "FloorRaised"] == 1
    assert samples["decisions_total", *of_object, "OrderedAhead"] == 1


def test_before_any_demand_nothing_is_told_of_it_and_the_age_grows(scraped: Scraped) -> None:
    scraped.decided(without_history(make_record()))
    scraped.now_s += 50.0
    names = scraped.names()
    assert names.isdisjoint(
        {"forecast_replicas", "forecast_demand", "demand_actual", "demand_replicas", "pinball_loss", "coverage_ratio"}
    )
    assert {"desired_replicas", "ready_replicas"} <= names
    assert scraped.samples()["metrics_age_seconds", "chat", "shop"] == 50.0


def test_the_forecast_goes_when_demand_has_been_missing_for_a_lead_and_comes_back(scraped: Scraped) -> None:
    told = []
    for i in range(12):
        missing = 2 <= i < 10
        outlook = make_outlook(missing=missing, lead_bins=5)
        scraped.decided(make_record(now_s=MORNING_S + i * BIN_S, outlook=outlook))
        names = scraped.names()
        told.append("forecast_replicas" in names)
        assert ("forecast_demand" in names) == told[-1]
        assert ("demand_replicas" in names) == (not missing)
        assert "desired_replicas" in names
    # Known at the start of bin 1; a lead and a bin later it still is, then it is no more.
    assert told == [True] * 8 + [False] * 2 + [True] * 2


def test_gauges_go_when_the_loop_hangs_and_counters_and_the_age_stay(scraped: Scraped) -> None:
    scraped.decided(make_record())
    scraped.now_s += 4 * BIN_S
    assert {"desired_replicas", "forecast_replicas"} <= scraped.names()
    scraped.now_s += 1.0
    names = scraped.names()
    assert names == {"decisions_total", "actions_total", "metrics_age_seconds", *counters(names)}
    assert "forecasts_scored_total" in names
    assert scraped.samples()["metrics_age_seconds", "chat", "shop"] == 4 * BIN_S + 1.0


def counters(names: set[str]) -> set[str]:
    return {name for name in names if name.endswith("_total")}


def test_a_forecast_is_scored_by_the_decision_after_its_bin(scraped: Scraped) -> None:
    lead = 4
    for i in range(lead + 2):
        # What comes grows by one replica each bin, and every quantile says exactly what will come.
        outlook = make_outlook(
            needs=np.full((2, len(LEVELS)), 10.0 + i + lead), demand_replicas=10.0 + i - 1, lead_bins=lead
        )
        scraped.decided(make_record(now_s=MORNING_S + i * BIN_S, outlook=outlook))
        scored = scraped.samples()["forecasts_scored_total", "chat", "shop"]
        assert scored == (1 if i == lead + 1 else 0)
    samples = scraped.samples()
    for level in QUANTILES:
        assert samples["pinball_loss", "chat", "shop", str(level)] == 0
        assert samples["pinball_loss_replicas_total", "chat", "shop", str(level)] == 0
    assert samples["coverage_ratio", "chat", "shop", "0.99"] == 1


def test_decisions_before_a_bin_is_over_score_nothing_and_hide_nothing(scraped: Scraped) -> None:
    lead = 2
    for i in range(lead + 3):
        outlook = make_outlook(
            needs=np.full((2, len(LEVELS)), 10.0 + i + lead), demand_replicas=10.0 + i - 1, lead_bins=lead
        )
        at_s = MORNING_S + i * BIN_S
        scraped.decided(make_record(now_s=at_s, outlook=outlook))
        for share in (0.25, 0.5, 0.75):
            early = replace(outlook, demand_replicas=99.0, early=True)
            scraped.decided(make_record(now_s=at_s + share * BIN_S, outlook=early))
    samples = scraped.samples()
    assert samples["forecasts_scored_total", "chat", "shop"] == 2
    assert samples["pinball_loss_replicas_total", "chat", "shop", "0.5"] == 0
    assert samples["demand_replicas", "chat", "shop"] == 99.0


def test_another_interval_starts_the_scores_anew_and_keeps_the_counts(scraped: Scraped) -> None:
    for i in range(8):
        scraped.decided(make_record(now_s=MORNING_S + i * BIN_S))
    assert scraped.samples()["forecasts_scored_total", "chat", "shop"] == 3
    scraped.decided(make_record(now_s=MORNING_S + 8 * BIN_S, spec=make_spec(bin_s=30.0)))
    samples = scraped.samples()
    assert samples["forecasts_scored_total", "chat", "shop"] == 0
    assert samples["decisions_total", "chat", "shop", "OrderedAhead"] == 9


def test_an_object_that_goes_takes_its_series_along_and_the_others_stay(scraped: Scraped) -> None:
    scraped.metrics.watched([("shop", "chat")])
    scraped.decided(make_record())
    before = scraped.samples()
    for i in range(200):
        scraped.decided(make_record(name=f"job-{i}"))
        scraped.metrics.late("shop", f"job-{i}", 0.1)
        scraped.metrics.watched([("shop", "chat")])
    assert scraped.samples() == before
    scraped.metrics.late("shop", "gone", 0.5)
    scraped.metrics.watched([("shop", "chat"), ("shop", "chat-keda-1")], guests=1)
    assert scraped.samples()["objects",] == 1
    scraped.metrics.watched([])
    assert scraped.names() == set()
    assert scraped.samples()["objects",] == 0


def test_reasons_without_end_do_not_fill_the_memory(scraped: Scraped) -> None:
    for i in range(200):
        scraped.decided(replace(make_record(), done=replace(PATCHED, reason=f"Reason{i}")))
    assert sum(key[0] == "actions_total" for key in scraped.samples()) == 50


def test_an_infinite_or_unknown_rate_has_no_series(scraped: Scraped) -> None:
    outlook = make_outlook(missing=True)
    scraped.decided(make_record(outlook=outlook, demand_rps={"a": math.inf, "b": math.nan, "c": 2.0}))
    assert [key[-1] for key in scraped.samples() if key[0] == "demand_actual"] == ["c"]


def test_two_sets_of_metrics_in_one_process_do_not_meet(scraped: Scraped) -> None:
    other = Scraped()
    scraped.metrics.leads(True)
    scraped.metrics.api_failed("patch", "Conflict")
    scraped.metrics.prometheus_failed("Timeout")
    scraped.metrics.line_dropped()
    with scraped.metrics.step("fetch"):
        pass
    samples = scraped.samples()
    assert samples["leader",] == 1
    assert samples["api_errors_total", "Conflict", "patch"] == 1
    assert samples["prometheus_errors_total", "Timeout"] == 1
    assert samples["decision_lines_dropped_total",] == 1
    assert samples["tick_seconds_count", "fetch"] == 1
    assert [key[-1] for key in samples if key[0] == "build_info"] == ["1.2.3"]
    assert other.samples()["leader",] == 0
    assert not any(key[0] == "tick_seconds_count" for key in other.samples())


def test_a_step_that_fails_is_timed_too(scraped: Scraped) -> None:
    with pytest.raises(ZeroDivisionError), scraped.metrics.step("decide"):
        raise ZeroDivisionError
    assert scraped.samples()["tick_seconds_count", "decide"] == 1


def test_scrapes_while_objects_come_and_go_are_whole(scraped: Scraped) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        record = make_record()
        while not stop.is_set():
            for i in range(20):
                scraped.metrics.decided(replace(record, name=f"job-{i}"), {})
            scraped.metrics.watched([("shop", "job-1")])

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(20):
            assert scraped.samples()["leader",] == 0
    finally:
        stop.set()
        thread.join()


def test_replicas_that_nobody_knows_have_no_series(scraped: Scraped) -> None:
    record = make_record()
    scraped.decided(replace(record, observation=replace(record.observation, fleet_assumed=True)))
    assert {"desired_replicas", "ready_replicas", "loading_replicas"}.isdisjoint(scraped.names())
    assert "demand_replicas" in scraped.names()


def test_replicas_that_are_only_taken_to_follow_have_no_series_nor_has_what_was_late_with_them(
    scraped: Scraped,
) -> None:
    scraped.decided(replace(make_record(), fleet_unseen=True))
    scraped.metrics.late("shop", "chat", 0.004)
    assert {"ready_replicas", "loading_replicas", "late_share"}.isdisjoint(scraped.names())
    assert {"desired_replicas", "demand_replicas", "late_budget"} <= scraped.names()


def test_what_keda_asks_is_shown_as_it_is_at_the_scrape(scraped: Scraped) -> None:
    figures = [ScalerFigures()]
    scraped.metrics.add_scaler(lambda: figures[0])
    of_keda = {key: value for key, value in scraped.samples().items() if key[0].startswith("keda_")}
    assert of_keda == {("keda_streams",): 0, ("keda_guests",): 0, ("keda_restarts_total",): 0}
    calls = {("GetMetrics", "OK"): 7, ("GetMetrics", "UNAVAILABLE"): 2}
    figures[0] = ScalerFigures(calls, 3, 5, "server.key: can't be read", 1_800_000_000.5, 1)
    of_keda = {key: value for key, value in scraped.samples().items() if key[0].startswith("keda_")}
    assert of_keda == {
        ("keda_calls_total", "OK", "GetMetrics"): 7,
        ("keda_calls_total", "UNAVAILABLE", "GetMetrics"): 2,
        ("keda_streams",): 3,
        ("keda_guests",): 5,
        ("keda_restarts_total",): 1,
        ("keda_certificate_problem",): 1,
        ("keda_certificate_expiry_timestamp_seconds",): 1_800_000_000.5,
    }
    figures[0] = ScalerFigures(certificate_expires_s=1_800_000_000.5)
    assert scraped.samples()["keda_certificate_problem",] == 0
