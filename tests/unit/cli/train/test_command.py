from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from forecasting.fleet import FleetModel
from forecasting.network import NETWORKS, Network
from scaler.cli.main import main
from tests.support.networks import daily_load, random_network

if TYPE_CHECKING:
    from pathlib import Path

    from forecasting.series import TimeSeries

QUICK = ("--generated", "1", "--origins", "120", "--epochs", "2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "histories"
    out.mkdir()
    written(out / "load.csv", daily_load(50.0, 1, days=2.2))
    return out


def written(path: Path, series: TimeSeries) -> None:
    rows = zip(series.times().tolist(), series.values.tolist(), strict=True)
    path.write_text("".join(f"{time},{value}\n" for time, value in rows))


def failed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["train", *words]) == 1
    return capsys.readouterr().err


def test_a_loser_is_refused_and_force_publishes_it_without_training_anew(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "lstm.bin"
    output.write_bytes(NETWORKS.shipped().to_bytes())
    monkeypatch.setenv("FORESAIL_LSTM_MODEL", str(output))
    assert main(["train", str(folder), "--from-scratch", *QUICK]) == 3  # random weights, hardly trained
    out = capsys.readouterr().out
    assert "not published: the new model loses to the one in use (its loss is " in out
    assert "--force publishes it all the same" in out
    assert Network.from_bytes(output.read_bytes()).digest() == NETWORKS.shipped().digest()
    assert main(["train", str(folder), "--from-scratch", "--force", *QUICK]) == 0
    told = capsys.readouterr()
    assert f"going on from {output}.checkpoint: 2 of 2 batches are done" in told.err
    assert f"published by force as {output}, although its loss is " in told.out
    assert Network.from_bytes(output.read_bytes()).digest() != NETWORKS.shipped().digest()
    assert not output.with_name("lstm.bin.checkpoint").exists()


def test_a_better_one_takes_the_place_of_the_one_that_the_settings_point_at(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, config = tmp_path / "lstm.bin", tmp_path / "foresail.toml"
    config.write_text(f'lstm_model = "{output}"\n')
    worse = random_network(units=4, dense=4, seed=9)
    output.write_bytes(worse.to_bytes())
    assert main(["train", str(folder), "--config", str(config), "--json", *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["published"]
    assert set(told["losses"]) == {"naive", "seasonal-naive", "auto", "the new model", "the one in use"}
    assert told["losses"]["the new model"] < told["losses"]["the one in use"]
    assert len(told["validation_losses"]) == 2
    assert Network.from_bytes(output.read_bytes()).digest() == told["digest"] != worse.digest()


def test_a_fleet_model_is_trained_by_the_same_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "fleet.bin"
    arguments = ("train", str(folder), "--model", "fleet", "--output", str(output), "--force", "--json")
    assert main([*arguments, "--generated", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "fleet"
    assert FleetModel.from_bytes(output.read_bytes()).series == 2


def test_what_does_not_fit_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "x.bin")
    assert failed(capsys, str(folder)) == (
        "foresail train: settings: --output FILE must be given: the setting lstm_model, its default, is not set "
        "either\n"
    )
    assert failed(capsys, "--output", output) == (
        "foresail train: settings: histories must be given: a FOLDER of CSV files, --from-store, or --source with "
        "--query\n"
    )
    assert failed(capsys, "--output", output, "--source", "http://127.0.0.1:9") == (
        "foresail train: settings: --source and --query go together: where to ask, and what\n"
    )
    assert failed(capsys, str(tmp_path / "nowhere"), "--output", output) == (
        f"foresail train: {tmp_path / 'nowhere'} is no folder; give one that holds a CSV file for each series\n"
    )
    (tmp_path / "empty").mkdir()
    assert failed(capsys, str(tmp_path / "empty"), "--output", output) == (
        f"foresail train: the folder {tmp_path / 'empty'} holds no file NAME.csv\n"
    )


def test_what_a_network_alone_has_is_refused_beside_a_fleet_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = (str(folder), "--model", "fleet", "--output", str(tmp_path / "x.bin"))
    for given in (
        *(("--from-scratch",), ("--epochs", "12"), ("--origins", "5000"), ("--restart",)),
        *(("--checkpoint", str(tmp_path / "state")), ("--checkpoint-every", "5m")),
    ):
        assert failed(capsys, *fleet, *given) == (
            f"foresail train: settings: {given[0]} is for --model lstm alone, not for --model fleet; leave it out\n"
        )


def test_histories_too_short_to_judge_by_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "short.csv", daily_load(1.0, 1, days=0.3))
    assert failed(capsys, str(tmp_path), "--output", str(tmp_path / "x.bin"), *QUICK).endswith(
        "foresail train: none of the histories is long enough to judge the new model by: two hours and more must be "
        "kept back, and 20% of each are; longer histories help, or a larger --test\n"
    )
