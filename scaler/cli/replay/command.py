"""From the study to its outcomes: forecasts on all cores, then the settings, then what is written."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

from forecasting.premium import highest_level
from forecasting.refits import fit_times
from forecasting.registry import default_registry
from scaler.cli.history import model_files
from scaler.cli.pool import Pool
from scaler.cli.replay.arguments import read_study
from scaler.cli.replay.html import COMPARED, write_html
from scaler.cli.replay.jobs import FitJob, Fitted, RunJob, fit, only_at, peaks_at, run_setting
from scaler.cli.replay.output import print_json, print_table, write_decisions
from scaler.decision import horizon
from scaler.decision.reading import levels_for
from scaler.engine.alignment import lives_tested, longest_period
from scaler.engine.ladder import STAND_INS
from scaler.engine.state import BANDS
from scaler.errors import InvalidSettings
from scaler.replay.compare import HEADROOMS, QUANTILES
from scaler.replay.forecasts import highest_so_far, peaks_of
from scaler.replay.report.content import coverage
from scaler.replay.study import Setting
from scaler.trigger.parse import SCHEMA

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Sequence

    from scaler.replay.policies import Peaks
    from scaler.replay.study import Study

__all__ = ["run"]

_REFERENCES = (Setting("reactive", 1.0), Setting("reactive", 1.25), Setting("oracle"))
"""What every table shows beside the policy asked for: plain KEDA as it is, and at a target of 80 %."""

_FORESAIL_HEADROOMS = (1.0, 1.1, 1.2, 1.3, 1.4)


def run(arguments: argparse.Namespace) -> int:
    """Replays, and writes what was asked for."""
    started = time.perf_counter()
    name, study, train_end = read_study(arguments)
    asked = _asked(arguments)
    sweeps = arguments.sweep or arguments.html is not None  # the page shows the curves
    settings = _settings(asked, sweep=sweeps, alone=arguments.json)
    with Pool(arguments.jobs, quiet=arguments.json, models=model_files(arguments)) as pool:
        quantiles = {setting.quantile for setting in settings if setting.policy == "foresail"}
        began = time.perf_counter()
        fits = _forecast(arguments, study, train_end, quantiles, pool) if quantiles else []
        forecasting = time.perf_counter() - began
        peaks = _peaks(arguments, study, fits, quantiles)
        jobs = [
            RunJob(
                study=study,
                setting=setting,
                peaks=peaks[setting.quantile] if setting.policy == "foresail" else None,
                whole=setting == asked or (arguments.html is not None and setting in COMPARED),
            )
            for setting in settings
        ]
        runs = pool.map(run_setting, jobs, doing="replaying settings")
    if arguments.html is not None:
        calibration = _calibration(study, train_end, fits)
        write_html(arguments.html, name, study, asked, runs, fits, calibration)
    seconds = time.perf_counter() - started
    chosen = next(run for run in runs if run.setting == asked)
    if arguments.decisions is not None:
        write_decisions(arguments.decisions, chosen)
    if arguments.json:
        print_json(name, chosen, runs if arguments.sweep else (), seconds=seconds)
    else:
        shown = runs if arguments.sweep else [run for run in runs if run.setting in (asked, *_REFERENCES)]
        print_table(name, study, chosen, shown, fits, seconds=seconds, forecasting=forecasting)
    return 0


def _asked(arguments: argparse.Namespace) -> Setting:
    """The setting that the arguments name."""
    if arguments.policy == "oracle":
        return Setting("oracle")
    if arguments.policy == "foresail":
        headroom = SCHEMA.defaults["headroom"] if arguments.headroom is None else arguments.headroom
        return Setting("foresail", headroom, arguments.quantile)
    return Setting(arguments.policy, 1.0 if arguments.headroom is None else arguments.headroom)


def _settings(asked: Setting, *, sweep: bool, alone: bool) -> list[Setting]:
    """What to run: the setting asked for first, each once."""
    settings = [asked]
    if sweep:
        quantile = asked.quantile if asked.policy == "foresail" else SCHEMA.defaults["quantile"]
        headroom = (asked.headroom if asked.policy == "foresail" else None) or SCHEMA.defaults["headroom"]
        settings += [Setting("foresail", headroom, level) for level in QUANTILES]
        settings += [Setting("foresail", factor, quantile) for factor in _FORESAIL_HEADROOMS]
        settings += [Setting("reactive", factor) for factor in HEADROOMS]
        settings += [Setting("offset", factor) for factor in HEADROOMS if factor <= 2.0]
        settings.append(Setting("oracle"))
    elif not alone:
        settings += _REFERENCES
    return list(dict.fromkeys(settings))


def _forecast(
    arguments: argparse.Namespace, study: Study, train_end: int, quantiles: Collection[float | None], pool: Pool
) -> list[Fitted]:
    """The forecasts of the test part, made as they would have been made then."""
    series, policy = study.series, study.decision
    premium = SCHEMA.defaults["premium"] if arguments.premium is None else arguments.premium
    first, known = arguments.forecaster, default_registry().names()
    if first not in known:  # the default, in an installation without what it needs
        raise InvalidSettings([f"--forecaster {first} is not there; there are {', '.join(known)}"])
    times = tuple(fit_times(series, train_end=train_end, refit_every=int(arguments.refit_every)))
    jobs = [
        FitJob(
            series=series,
            ladder=(first, *(name for name in STAND_INS if name != first and name in known)),
            parameters={},
            times=times,
            position=position,
            horizon=horizon(
                window=policy.window, step=series.step, forecast_max_age=policy.forecast_max_age + study.metric_delay
            ),
            levels=tuple(sorted({*BANDS, *chain.from_iterable(levels_for(q) for q in quantiles if q is not None)})),
            history=max(1, int(SCHEMA.defaults["history_window"]) // series.step),
            steps=horizon(window=policy.window, step=series.step, forecast_max_age=0.0),
            events=study.events,
            premium=premium if None in quantiles else None,
            highest=highest_level(policy.lead_time),
            time_zone=study.time_zone,
            holidays=study.holidays,
        )
        for position in range(len(times))
    ]
    return pool.map(fit, jobs, doing=f"forecasting with {first}")


def _peaks(
    arguments: argparse.Namespace, study: Study, fits: Sequence[Fitted], quantiles: Collection[float | None]
) -> dict[float | None, Peaks]:
    """The forecasts by quantile, read as the engine would have read them."""
    series, window = study.series, int(SCHEMA.defaults["history_window"]) // study.series.step
    longest = longest_period(refit_every=arguments.refit_every, window=window, step=series.step)
    looked_back_on = lives_tested(longest=longest, step=series.step)
    highest = highest_so_far(series, window=int(SCHEMA.defaults["history_window"]))
    return {
        quantile: peaks_at(study, fits, quantile=quantile, looked_back_on=looked_back_on, highest=highest)
        for quantile in quantiles
    }


def _calibration(study: Study, train_end: int, fits: Sequence[Fitted]) -> dict[float, float]:
    """How often the peaks of the lead time stayed at or below their forecast quantiles."""
    refits = [fitted.refit for fitted in fits if fitted.refit is not None]
    if not refits:
        return {}
    series, batch = study.series, refits[0].batch
    steps = min(horizon(window=study.decision.window, step=series.step, forecast_max_age=0.0), batch.horizon)
    # each fit was forecast at the quantile chosen with it, too; what all have in common can be put together
    levels = tuple(level for level in batch.levels if all(level in refit.batch.levels for refit in refits))
    return coverage(
        series,
        peaks_of(series, [only_at(refit, levels) for refit in refits], horizon=batch.horizon, levels=len(levels)),
        levels,
        steps=steps,
        first=(train_end - series.start) // series.step,
    )
