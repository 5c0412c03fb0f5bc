"""Chronos-Bolt behind Foresail's protocol: an example of a pretrained foundation model as a plug-in.

The checkpoint is read from a folder on this machine, its weights as safetensors; nothing is fetched and nothing
unpickled. Its median is the path that is expected, and what it got wrong on the series' own past gives calibrated
bands around it, of values and of peaks. A forecast is a pass through a transformer, in the engine's process: see with
`foresail backtest` what that costs before it is served.

Source: Ansari et al., "Chronos: learning the language of time series", TMLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from forecasting.errors import FitFailed, InvalidParameter
from forecasting.paths import PathForecaster, fit_calibrated, require
from forecasting.serialise import stored_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.series import FloatArray, TimeSeries
    from forecasting.windows import Windows

__all__ = ["Chronos", "FittedChronos"]


@stored_as("foresail-chronos/1")
@dataclass(frozen=True, eq=False, kw_only=True)
class FittedChronos(PathForecaster):
    """Which checkpoint, and how much it is shown; the weights stay in their folder.

    Attributes:
        folder: The checkpoint's.
        context: Samples it is shown.
    """

    folder: str
    context: int

    @property
    def context_length(self) -> int:
        """Samples that a forecast looks at."""
        return self.context

    def paths(self, windows: Windows, horizon: int) -> FloatArray:
        """The model's median, held beyond what it was trained to predict; one row per origin, shape (N, horizon)."""
        import torch  # noqa: PLC0415  # takes seconds: only where a forecast is made

        pipeline = _pipeline(self.folder)
        steps = min(horizon, int(pipeline.model_prediction_length))
        rows = np.empty((len(windows.values), horizon))
        for row, window in enumerate(windows.values):  # one by one: an origin's forecast is its own, whatever the batch
            shown = torch.from_numpy(window.astype(np.float32))
            quantiles, _ = pipeline.predict_quantiles([shown], prediction_length=steps, quantile_levels=[0.5])
            median = quantiles[0, :, 0].numpy()
            rows[row, :steps], rows[row, steps:] = median, median[-1]
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Chronos:
    """A pretrained Chronos-Bolt checkpoint.

    Attributes:
        folder: The folder with its `config.json` and `model.safetensors`.
        context: Samples it is shown.
        origins: Past moments whose outcomes calibrate the bands; each costs a forecast.
    """

    folder: str = ""
    context: int = 512
    origins: int = 200

    name: ClassVar[str] = "chronos"

    def min_history(self, step: int) -> int:
        """Samples needed, whatever the step."""
        del step
        return 60

    def fit(self, series: TimeSeries, *, horizon: int, levels: Sequence[float]) -> FittedChronos:
        """Trains nothing; ranks what the model gets wrong on this series."""
        del levels  # the bands serve all
        require(self.name, series, self.min_history(series.step))
        if not (Path(self.folder) / "config.json").is_file():
            raise InvalidParameter(
                f"parameter 'folder' of forecaster 'chronos' must be a folder with a checkpoint's config.json, not "
                f"{self.folder!r}"
            )
        return fit_calibrated(
            lambda scaled: FittedChronos(step=scaled.step, folder=self.folder, context=self.context),
            series,
            horizon=horizon,
            folds=(),
            origins=self.origins,
            skip=min(self.context, len(series) // 2),
        )


@cache
def _pipeline(folder: str) -> Any:  # noqa: ANN401  # chronos has no types
    """The checkpoint, once a process."""
    try:
        from chronos import BaseChronosPipeline  # noqa: PLC0415  # takes seconds, as torch does

        return BaseChronosPipeline.from_pretrained(
            folder, device_map="cpu", local_files_only=True, use_safetensors=True
        )
    except (ImportError, OSError, ValueError) as error:
        raise FitFailed(f"the Chronos checkpoint in {folder} cannot be loaded: {error}") from error
