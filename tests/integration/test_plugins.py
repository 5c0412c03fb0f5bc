"""The example plug-ins of docs/examples, installed as packages into a folder and used from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.networks import daily_load

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
DEADLINE = 110.0
pytestmark = pytest.mark.timeout(300)  # pip builds two packages; torch and transformers take their time to import

# a tiny checkpoint of random weights, saved as a real one is
CHECKPOINT = """
import sys, torch
from transformers import T5Config
from chronos.chronos_bolt import ChronosBoltModelForForecasting
torch.manual_seed(0)
config = T5Config(
    d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=2, dropout_rate=0.0,
    feed_forward_proj="relu", pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
)
config.chronos_config = dict(
    context_length=64, prediction_length=16, input_patch_size=8, input_patch_stride=8, use_reg_token=True,
    quantiles=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
)
config.architectures = ["ChronosBoltModelForForecasting"]
config.chronos_pipeline_class = "ChronosBoltPipeline"
ChronosBoltModelForForecasting(config).save_pretrained(sys.argv[1])
"""

# what a trigger says, through its metadata and a real fit worker, to a fitted forecaster
THROUGH_A_WORKER = """
import asyncio, json, sys
import numpy as np
from forecasting.registry import default_registry
from forecasting.serialise import loads
from forecasting.series import TimeSeries
from scaler.engine.fits import FitPool, Priority
from scaler.engine.messages import FitRequest, Rung
from scaler.trigger.parse import parse_trigger

registry = default_registry()
metadata = {"serverAddress": "http://prometheus:9090", "query": "sum(rate(x[1m]))", "threshold": "5"}
metadata |= json.loads(sys.argv[1])
config = parse_trigger(namespace="shop", name="web", metadata=metadata, forecasters=registry.names())
values = 10 + np.sin(np.arange(400) / 60)

async def fit():
    pool = FitPool(workers=1, timeout=90.0, memory=8 << 30)
    request = FitRequest(
        ladder=[Rung(config.forecaster, dict(config.forecaster_parameters))], start=0, step=60,
        values=values.astype("<f8").tobytes(), horizon=5, levels=[0.5, 0.9],
    )
    done = await pool.fit(lambda: request, priority=Priority.NEW)
    await pool.close()
    return done

done = asyncio.run(fit())
fitted = loads(done.data)
forecast = fitted.predict(TimeSeries(0, 60, values), horizon=5, levels=(0.5, 0.9))
print(json.dumps([done.rung, done.failures, type(fitted).__name__, fitted.context_length, forecast.peak.shape]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which both packages are found."""
    target = tmp_path_factory.mktemp("site")
    packages = [str(EXAMPLES / name) for name in ("foresail-drift", "foresail-chronos")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(ROOT)]), "HF_HUB_OFFLINE": "1"}


def output(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_plug_in_is_fitted_with_what_the_metadata_says(installed: dict[str, str]) -> None:
    metadata = json.dumps({"forecaster": "drift", "forecaster.window": "17"})
    told = json.loads(output(installed, "-c", THROUGH_A_WORKER, metadata))
    assert told == [0, [], "FittedDrift", 17, [2, 5]]


def test_an_installed_plug_in_is_backtested_like_any_other(installed: dict[str, str], tmp_path: Path) -> None:
    series = daily_load(30.0, 1, days=2)
    rows = zip(series.times().tolist(), series.values.tolist(), strict=True)
    (tmp_path / "load.csv").write_text("".join(f"{time},{value}\n" for time, value in rows))
    options = ("--forecaster", "drift", "--parameter", "window=12", "--jobs", "1", "--json")
    told = json.loads(output(installed, "-m", "scaler", "backtest", str(tmp_path / "load.csv"), *options))
    assert told["forecaster"] == "drift"
    assert told["horizons"]["3600"]["pinball"]["0.9"] > 0


def test_the_drift_plug_ins_own_test_passes(installed: dict[str, str]) -> None:
    test = EXAMPLES / "foresail-drift" / "tests" / "test_drift.py"
    assert "1 passed" in output(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(test))


def test_a_pretrained_model_is_loaded_from_its_folder_and_forecasts(installed: dict[str, str], tmp_path: Path) -> None:
    output(installed, "-c", CHECKPOINT, str(tmp_path / "tiny"))
    assert (tmp_path / "tiny" / "model.safetensors").exists()
    metadata = {"forecaster": "chronos", "forecaster.folder": str(tmp_path / "tiny"), "forecaster.context": "48"}
    told = json.loads(output(installed, "-c", THROUGH_A_WORKER, json.dumps({**metadata, "forecaster.origins": "20"})))
    assert told == [0, [], "FittedChronos", 48, [2, 5]]


def test_a_folder_without_a_checkpoint_is_told(installed: dict[str, str]) -> None:
    script = """
import numpy as np
from forecasting.errors import ForecastError
from forecasting.registry import default_registry
from forecasting.series import TimeSeries
try:
    default_registry().create("chronos").fit(TimeSeries(0, 60, np.ones(300)), horizon=5, levels=(0.9,))
except ForecastError as error:
    print(error)
"""
    assert output(installed, "-c", script) == (
        "parameter 'folder' of forecaster 'chronos' must be a folder with a checkpoint's config.json, not ''\n"
    )
