from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import forecasting.registry
from forecasting.errors import FitFailed
from forecasting.evaluation import rolling_origin
from forecasting.models.naive import Naive
from forecasting.models.seasonal_naive import SeasonalNaive
from forecasting.network import NETWORKS
from scaler.cli.backtest.arguments import default_forecaster
from scaler.cli.main import main
from scaler.sources.csv import read_csv
from tests.support.networks import random_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from forecasting.forecaster import FittedForecaster
    from forecasting.series import TimeSeries

START = 1767225600
MINUTES = 600
TRAIN_END = START + 359 * 60  # 60 % of the samples


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Ten hours of a noisy hourly rhythm, one minute apart, with a hole."""
    rng = np.random.default_rng(7)
    minutes = np.arange(MINUTES)
    load = 60 + 40 * np.sin(2 * np.pi * minutes / 60) + rng.gamma(2.0, 4.0, MINUTES)
    load[400:405] = np.nan
    path = tmp_path / "shop.csv"
    lines = [f"{START + 60 * n},{'' if math.isnan(value) else repr(float(value))}" for n, value in enumerate(load)]
    path.write_text("timestamp,value\n" + "\n".join(lines) + "\n")
    return path


def backtest(*arguments: object) -> int:
    return main(["backtest", *map(str, arguments), "--jobs", "1"])


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{name: float(cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def load_of(trace: Path) -> dict[float, float]:
    lines = [line.split(",") for line in trace.read_text().splitlines()[1:]]
    return {float(time): float(value) for time, value in lines if value}


def pinball(actual: float, quantile: float, level: float) -> float:
    return level * (actual - quantile) if actual >= quantile else (1 - level) * (quantile - actual)


def test_the_figures_are_those_of_the_forecasts_written(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "forecasts.csv"
    arguments = ("--forecaster", "naive", "--refit-every", "1h", "--horizon", "10m,2m", "--levels", "0.9,0.5")
    assert backtest(trace, *arguments, "--json", "--forecasts", out) == 0
    said = capsys.readouterr()
    assert said.err == ""  # no progress bar where nobody watches
    document = json.loads(said.out)
    assert list(document) == [
        "series", "step_s", "forecaster", "train_end", "horizons", "peaks", "fit_seconds", "predict_seconds",
    ]  # fmt: skip
    assert (document["series"], document["step_s"], document["forecaster"]) == ("shop", 60, "naive")
    assert document["train_end"] == TRAIN_END
    assert list(document["horizons"]) == list(document["peaks"]) == ["120", "600"]
    assert list(document["horizons"]["120"]) == ["mase", "pinball", "coverage", "n"]
    assert list(document["peaks"]["120"]) == ["pinball", "coverage", "n"]
    assert len(document["fit_seconds"]) == 5  # at 05:59, 06:59, ... 09:59
    assert all(seconds > 0 for seconds in (*document["fit_seconds"], document["predict_seconds"]))

    table = rows(out)
    assert list(table[0]) == ["issued_at", "target_at", "level", "value", "peak"]
    assert [row["issued_at"] for row in table] == [TRAIN_END + 60 * n for n in range(241) for _ in range(4)]
    load = load_of(trace)
    training = [load[START + 60 * n + 60] - load[START + 60 * n] for n in range(359)]
    scale = sum(map(abs, training)) / len(training)
    for horizon in (120, 600):
        for level in (0.5, 0.9):
            mine = [row for row in table if row["level"] == level and row["target_at"] - row["issued_at"] == horizon]
            known = [(row, load[row["target_at"]]) for row in mine if row["target_at"] in load]
            scores = document["horizons"][str(horizon)]
            losses = [pinball(actual, row["value"], level) for row, actual in known]
            assert scores["n"] == len(known)
            assert scores["pinball"][str(level)] == pytest.approx(sum(losses) / len(losses), rel=1e-12)
            assert scores["coverage"][str(level)] == sum(actual <= row["value"] for row, actual in known) / len(known)
            if level == 0.5:
                errors = [abs(actual - row["value"]) for row, actual in known]
                assert scores["mase"] == pytest.approx(sum(errors) / len(errors) / scale, rel=1e-12)
            highest = []
            for row in mine:
                after = [load.get(row["issued_at"] + 60 * n) for n in range(1, horizon // 60 + 1)]
                there = [value for value in after if value is not None]
                if len(there) >= 0.8 * len(after):  # a peak with more unknown is unknown
                    highest.append((row, max(there)))
            scores = document["peaks"][str(horizon)]
            losses = [pinball(actual, row["peak"], level) for row, actual in highest]
            assert scores["n"] == len(highest)
            assert scores["pinball"][str(level)] == pytest.approx(sum(losses) / len(losses), rel=1e-12)
            assert scores["coverage"][str(level)] == sum(a <= row["peak"] for row, a in highest) / len(highest)


def test_the_figures_are_those_of_one_walk_over_the_series(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--forecaster", "seasonal-naive", "--parameter", "season_length=60", "--refit-every", "70m")
    assert backtest(trace, *arguments, "--json") == 0
    document = figures(capsys)
    walked = rolling_origin(
        read_csv(trace),
        SeasonalNaive(season_length=60),
        train_end=TRAIN_END,
        horizons=(5, 15, 60),
        levels=(0.5, 0.9, 0.95, 0.99),
        refit_every=4200,
    )
    assert len(document["fit_seconds"]) == len(walked.fit_seconds)
    for said, walked_scores in ((document["horizons"], walked.values), (document["peaks"], walked.peaks)):
        for steps, one in walked_scores.items():
            scores = said[str(60 * steps)]
            assert scores["n"] == one.n
            assert list(scores["pinball"].values()) == pytest.approx(list(one.pinball.values()), rel=1e-12)
            assert list(scores["coverage"].values()) == list(one.coverage.values())
    assert document["horizons"]["900"]["mase"] == pytest.approx(walked.values[15].mase, rel=1e-12)


def test_two_runs_write_the_same_bytes_however_many_processes(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["backtest", str(trace), "--forecaster", "seasonal-naive", "--parameter", "season_length=60"]
    arguments += ["--refit-every", "1h", "--json"]
    documents, written = [], []
    for jobs in ("1", "2"):
        table, page = tmp_path / f"{jobs}.csv", tmp_path / f"{jobs}.html"
        assert main([*arguments, "--forecasts", str(table), "--html", str(page), "--jobs", jobs]) == 0
        documents.append({**figures(capsys), "fit_seconds": 0, "predict_seconds": 0})
        written.append((table.read_bytes(), page.read_bytes()))
    assert documents[0] == documents[1]
    assert written[0] == written[1]


def issued(trace: Path, forecaster: str, *, train: int, samples: int = MINUTES) -> list[str]:
    """The forecasts of the trace's first samples."""
    cut, out = trace.parent / "cut.csv", trace.parent / "forecasts.csv"
    cut.write_text("".join(trace.read_text().splitlines(keepends=True)[: 1 + samples]))
    end = START + 60 * (train - 1)
    arguments = ("--forecaster", forecaster, "--refit-every", "50m", "--train-end", end, "--horizon", "1m,20m")
    assert backtest(cut, *arguments, "--json", "--forecasts", out) == 0
    return out.read_text().splitlines()[1:]


@pytest.mark.parametrize("samples", [400, 450, 451])  # the second ends where a fit is due
def test_cutting_the_file_changes_no_forecast_before(trace: Path, samples: int) -> None:
    whole, cut = (issued(trace, "naive", train=350, samples=kept) for kept in (MINUTES, samples))
    assert len(cut) == (samples - 349) * 8
    assert whole[: len(cut)] == cut


@pytest.mark.parametrize("forecaster", forecasting.registry.default_registry().names())
def test_no_forecaster_looks_ahead(trace: Path, forecaster: str) -> None:
    whole, cut = (issued(trace, forecaster, train=500, samples=kept) for kept in (MINUTES, 550))
    assert len(cut) == 51 * 8
    assert whole[: len(cut)] == cut


def test_people_get_a_table_with_naive_beside(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--forecaster", "seasonal-naive", "--parameter", "season_length=60", "--horizon", "15m")
    assert backtest(trace, *arguments) == 0
    table = capsys.readouterr().out
    assert "shop: seasonal-naive, 4h from 2026-01-01T05:59:00Z" in table
    row = next(line.split() for line in table.splitlines() if line.strip().startswith("15m"))
    assert len(row) == 9
    assert backtest(trace, *arguments, "--json") == 0
    ours = figures(capsys)
    assert backtest(trace, "--forecaster", "naive", "--horizon", "15m", "--json") == 0
    naive = figures(capsys)
    value, peak = ours["horizons"]["900"], ours["peaks"]["900"]
    relative = value["pinball"]["0.5"] / naive["horizons"]["900"]["pinball"]["0.5"]
    assert row[1:3] == [f"{value['mase']:.2f}", "0.5"]
    assert row[4:6] == [f"{relative:.2f}", f"{value['coverage']['0.5']:.1%}"]
    assert row[8] == f"{peak['coverage']['0.5']:.1%}"
    assert "1 fit by seasonal-naive, 1d apart" in table
    assert "CPU time: " in table


def test_naive_is_its_own_reference(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(trace, "--forecaster", "naive", "--horizon", "15m") == 0
    cells = [line.split() for line in capsys.readouterr().out.splitlines() if " 0.99 " in line]
    assert cells[0][2] == cells[0][5] == "1.00"


def test_the_median_is_judged_though_only_others_are_asked_for(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "forecasts.csv"
    assert backtest(trace, "--forecaster", "naive", "--levels", "0.9,0.9", "--json", "--forecasts", out) == 0
    scores = figures(capsys)["horizons"]["300"]
    assert scores["mase"] > 0
    assert list(scores["pinball"]) == ["0.9"]
    assert {row["level"] for row in rows(out)} == {0.9}


def test_what_cannot_be_judged_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "quiet.csv"
    lines = [f"{START + 60 * n},{5 if n < 100 else ''}" for n in range(120)]
    path.write_text("\n".join(lines) + "\n")
    arguments = (path, "--forecaster", "naive", "--train-end", START + 60 * 99, "--horizon", "5m", "--levels", "0.9")
    assert backtest(*arguments, "--json") == 0
    document = figures(capsys)
    assert document["horizons"] == {"300": {"mase": None, "pinball": {"0.9": None}, "coverage": {"0.9": None}, "n": 0}}
    assert backtest(*arguments, "--html", tmp_path / "page.html") == 0
    assert (
        next(line.split() for line in capsys.readouterr().out.splitlines() if " 0.9 " in line)[1:]
        == ["-", "0.9"] + ["-"] * 6
    )


@pytest.mark.parametrize(
    ("step", "samples", "horizons"),
    [
        (60, 400, ["300", "900", "3600"]),
        (60, 100, ["300", "900"]),  # 40 minutes are forecast
        (120, 200, ["360", "960", "3600"]),
        (3600, 200, ["3600"]),
        (1, 760, ["300"]),
        (1, 700, ["1"]),
        (30, 80, ["300", "900"]),
        (60, 75, ["300", "900"]),
        (60, 55, ["300", "900"]),
        (7200, 100, ["7200"]),
    ],
)
def test_the_usual_horizons_are_whole_steps_that_the_series_has(
    step: int, samples: int, horizons: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "load.csv"
    path.write_text("".join(f"{START + step * n},{n % 7}\n" for n in range(samples)))
    assert backtest(path, "--forecaster", "naive", "--json") == 0
    assert list(figures(capsys)["horizons"]) == horizons


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series, html = tmp_path / "load.csv", tmp_path / "page.html"
    series.write_text("".join(f"{START + 60 * n},{n % 7}\n" for n in range(400)))
    html.write_text("of last week")

    def failing(_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("scaler.cli.backtest.command.page", failing)
    with pytest.raises(ZeroDivisionError):
        backtest(series, "--forecaster", "naive", "--html", html)
    assert html.read_text() == "of last week"


def test_a_past_that_ended_too_long_ago_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "load.csv"
    times = [*range(START, START + 86400, 3600), *range(START + 40 * 86400, START + 50 * 86400, 3600)]
    path.write_text("".join(f"{time},{time % 7}\n" for time in times))
    assert backtest(path, "--forecaster", "naive", "--train-fraction", "0.6") == 1
    assert capsys.readouterr().err == (
        "foresail backtest: settings: --forecaster naive needs 30 known samples (1d6h) to learn from; in the 14d up to "
        "2026-01-30T23:00:00Z there are 0: a longer series or a later --train-end helps, and so may a forecaster that "
        "needs less\n"
    )


def test_the_default_is_the_best_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Auto(Naive):
        name: ClassVar[str] = "auto"

    monkeypatch.setattr(forecasting.registry, "BUILT_IN", (Naive,))
    assert default_forecaster() == "seasonal-profile"
    monkeypatch.setattr(forecasting.registry, "BUILT_IN", (Naive, Auto))
    assert default_forecaster() == "auto"


@dataclass(frozen=True)
class Moody:
    """Cannot be fitted to a series that ends at this minute."""

    name: ClassVar[str] = "moody"
    minute: int = 479

    def min_history(self, step: int) -> int:
        return step

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedForecaster:
        if series.end == START + 60 * self.minute:
            raise FitFailed("not in the mood")
        return Naive().fit(series, horizon=horizon, levels=levels)


def test_a_fit_that_fails_leaves_the_one_before_in_use_and_is_told(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasting.registry, "BUILT_IN", (Naive, Moody))
    moody, naive = tmp_path / "moody.csv", tmp_path / "naive.csv"
    arguments = (trace, "--refit-every", "2h", "--horizon", "5m")
    assert backtest(*arguments, "--forecaster", "moody", "--forecasts", moody) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 fits failed, so that the one before stayed in use; the last of them: not in the mood" in said
    assert backtest(*arguments, "--forecaster", "naive", "--refit-every", "4h", "--forecasts", naive) == 0
    before_the_last_fit = 240 * 4
    assert rows(moody)[:before_the_last_fit] == rows(naive)[:before_the_last_fit]

    assert backtest(*arguments, "--forecaster", "moody", "--parameter", "minute=359") == 1
    assert capsys.readouterr().err == (
        "foresail backtest: settings: --forecaster moody cannot be fitted to the samples up to 2026-01-01T05:59:00Z: "
        "not in the mood\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--forecaster", "seasonal-profil"),
            ("--forecaster seasonal-profil: there is no forecaster 'seasonal-profil' (did you mean 'seasonal-profile'?)"
            "; there are: NAMES"),
        ),
        (
            ("--forecaster", "naive", "--parameter", "season=60"),
            "--forecaster naive: forecaster 'naive' has no parameter 'season'; it has none at all",
        ),
        (
            ("--forecaster", "seasonal-naive", "--parameter", "season_length=day"),
            ("--forecaster seasonal-naive: parameter 'season_length' of forecaster 'seasonal-naive' must be a whole "
            "number, or auto, not 'day'"),
        ),
        (("--parameter", "60"), "--parameter 60: it must be NAME=VALUE"),
        (("--parameter", "a=1", "--parameter", "a=2"), "--parameter a is given twice"),
        (
            ("--forecaster", "naive", "--train-fraction", "0.02"),
            ("--forecaster naive needs 30 known samples (30m) to learn from; up to 2026-01-01T00:11:00Z there are 12: "
            "a longer series or a later --train-end helps, and so may a forecaster that needs less"),
        ),
        (
            ("--forecaster", "naive", "--train-end", "2026-02-01"),
            ("--train-end 2026-02-01T00:00:00Z must leave samples on both sides; the series goes from "
            "2026-01-01T00:00:00Z to 2026-01-01T09:59:00Z"),
        ),
        (
            ("--forecaster", "naive", "--horizon", "90s,5m,5h"),
            ("(1) --horizon 1m30s is not a multiple of 1m, the step of the series; (2) --horizon 5h is longer than "
            "what is forecast, 4h from 2026-01-01T05:59:00Z on: no such forecast could be judged"),
        ),
        (
            ("--forecaster", "naive", "--stretch", "2026-01-01T01:00:00Z"),
            ("--stretch 2026-01-01T01:00:00Z must lie in the part that is forecast, from 2026-01-01T05:59:00Z to "
            "before 2026-01-01T09:59:00Z"),
        ),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_told(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert backtest(trace, *arguments) == 1
    says = says.replace("NAMES", ", ".join(forecasting.registry.default_registry().names()))
    several = says.startswith("(1)")
    assert capsys.readouterr().err == f"foresail backtest: settings{' have 2 problems' if several else ''}: {says}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--levels", "0.5,1.5"), 'argument --levels: "1.5": it must be a number from 0.001 to 0.999'),
        (("--levels", "0"), 'argument --levels: "0": it must be a number from 0.001 to 0.999'),
        (("--horizon", "5x"), 'argument --horizon: "5x": it must be a duration from 1s to 1d'),
        (("--refit-every", "1s"), 'argument --refit-every: "1s": it must be a duration of at least 1m'),
    ],
)
def test_an_argument_that_cannot_be_read_is_a_usage_error(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as raised:
        backtest(trace, *arguments)
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


def test_whose_clocks_and_holidays_the_load_follows_is_told_as_in_a_trigger(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    arguments = ("--time-zone", "Asia/Tokyo", "--holidays", "JP", "--horizon", "5m", "--html", page)
    assert backtest(trace, *arguments, "--forecaster", "seasonal-profile", "--parameter", "holidays=FR") == 0
    assert "seasonal-profile with holidays = FR, timezone = Asia/Tokyo was fitted" in page.read_text()
    assert backtest(trace, *arguments, "--forecaster", "naive") == 0  # which follows neither
    assert '<p class="muted">naive was fitted' in page.read_text()
    capsys.readouterr()
    for argument, says in (
        ("--time-zone=Mars", '"Mars": it must be a time zone such as UTC or Europe/Berlin; foresail backtest --help'),
        ("--holidays=de", '"de": it must be a country whose public holidays are known, such as DE, or a part of it, '),
    ):
        with pytest.raises(SystemExit) as raised:
            backtest(trace, argument)
        assert raised.value.code == 2
        assert f"argument {argument.partition('=')[0]}: {says}" in capsys.readouterr().err


def test_a_lasting_change_of_level_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quarters = np.arange(12 * 96)
    load = 60 + 40 * np.sin(2 * np.pi * quarters / 96)
    load[11 * 96 + 8 :] *= 0.33
    path = tmp_path / "moved.csv"
    path.write_text("".join(f"{START + 900 * n},{value}\n" for n, value in enumerate(load)))
    arguments = ("--forecaster", "seasonal-naive", "--train-end", START + 11 * 86400, "--refit-every", "11h")
    assert backtest(path, *arguments, "--horizon", "15m") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the last fit says: level x0.33 since 2026-01-12 02:00 UTC: earlier history scaled" in said


def test_the_trained_models_that_settings_point_at_are_used(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (trace, "--forecaster", "lstm", "--horizon", "15m", "--refit-every", "1h", "--json")
    assert backtest(*arguments) == 0
    shipped = figures(capsys)
    model = tmp_path / "lstm.bin"
    model.write_bytes(random_network().to_bytes())
    monkeypatch.setenv("FORESAIL_LSTM_MODEL", str(model))
    found = []
    for jobs in ("1", "2"):
        assert main(["backtest", *map(str, arguments), "--jobs", jobs]) == 0
        found.append(figures(capsys)["horizons"])
    assert found[0] == found[1] != shipped["horizons"]
    # what ships is in use again
    assert NETWORKS.resolve("pretrained") == NETWORKS.shipped().digest()
    model.write_bytes(b"something else")
    assert backtest(*arguments) == 1
    assert f"the model {model} is not a recurrent network that this version can use" in capsys.readouterr().err
