"""The load bench on a fleet of a few: so that it cannot rot, and what it prints is what it found."""

from __future__ import annotations

import msgspec
import pytest

from tests.bench.load import cost, run
from tests.bench.load.report import Report, table


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: printed.append(text))
        small = ["--triggers", "20", "--days", "2", "--forecaster", "seasonal-naive", "--seconds", "0.5"]
        assert (
            run.main([*small, "--rounds", "1", "--rate", "60", "--curve", "30", "--curve-seconds", "2", "--json"]) == 0
        )
    return msgspec.json.decode(printed[-1], type=Report)


def test_every_trigger_is_answered_at_a_first_start_and_after_a_restart(report: Report) -> None:
    for start in (report.cold, report.warm):
        assert start is not None
        assert start.answered == 20
        assert 0.0 < start.listening < start.first_answer <= start.half <= start.all_answers


def test_both_servers_are_measured_without_a_failed_call(report: Report) -> None:
    found = report.compared
    assert found is not None
    assert found.errors == 0
    assert found.pairs_per_cpu_second > 0.0
    assert found.pairs_per_cpu_second_bare > 0.0
    assert 0.0 < found.p50_ms <= found.p99_ms
    assert 0.0 < found.p50_ms_bare <= found.p99_ms_bare


def test_kedas_pace_is_two_polls_and_four_syncs_of_three_calls_a_minute(report: Report) -> None:
    (point,) = report.curve
    assert point.objects == 30
    assert point.errors == 0
    assert point.p99_ms_bare > 0.0
    assert point.bare_cores > 0.0
    assert point.rpcs_per_second == pytest.approx(30 * 3 * (1 / 30 + 1 / 15), rel=0.5)  # of two seconds' chance


def test_memory_of_both_processes_is_known(report: Report) -> None:
    assert set(report.memory) == {"edge, resident", "edge, proportional", "engine, resident", "engine, proportional"}
    assert all(value > 10.0 for value in report.memory.values())


def test_people_get_a_table_with_the_ratios(report: Report) -> None:
    text = table(report)
    assert report.compared is not None
    assert f"{report.compared.pairs_ratio:.3f}" in text
    assert f"{report.compared.p99_ratio:.3f}" in text
    assert "(20 of 20)" in text


def test_a_real_prometheus_gives_the_fleet_its_past_and_goes_on_scraping_it(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--triggers", "10", "--days", "1", "--forecaster", "seasonal-naive", "--rounds", "0", "--settle", "1"]
    assert run.main([*small, "--real-prometheus", "--empty", "--no-restart", "--json"]) == 0
    found = msgspec.json.decode(capsys.readouterr().out, type=Report)
    assert found.source == "real"
    assert found.cold is not None
    assert found.cold.answered == 10
    assert found.refreshing is not None
    assert found.refreshing.oldest_observed_s < 60.0


def test_a_days_cost_is_a_forecast_a_minute_and_a_fit() -> None:
    found = cost.alone("naive", days=1)
    assert found.day == pytest.approx(1440 * found.shared + found.fit)
    assert found.shared > 0.0
    assert 0.0 < found.forecast < found.fit + 1.0
