"""From the plan to a published model: learn, judge, publish or refuse."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from forecasting.errors import FitFailed
from forecasting.fleet import train_fleet
from forecasting.network import Network
from forecasting.training.corpus import Recipe, corpus
from forecasting.training.descent import Course, Descent
from scaler.cli.train.arguments import read_plan
from scaler.cli.train.output import Progress, print_json, print_table
from scaler.errors import TrainingFailed
from scaler.training.checkpoint import fingerprint, load_checkpoint, save_checkpoint
from scaler.training.files import read_trained, write_atomically
from scaler.training.judge import judge
from scaler.training.split import Split

if TYPE_CHECKING:
    import argparse

    from scaler.cli.train.arguments import Plan
    from scaler.training.files import Trained

__all__ = ["REFUSED", "run"]

REFUSED = 3
"""The exit code of a training whose model lost: nothing was published."""

_FINE_TUNING = 0.25  # of the learning rate: what the weights know already shall not be washed away


def run(arguments: argparse.Namespace) -> int:
    """Trains, judges, and publishes the model if it has earned it."""
    plan = read_plan(arguments)
    split = Split.of(plan.histories, test=plan.test, unseen=plan.unseen)
    with Progress(quiet=plan.json) as progress:
        champion = _champion(plan)
        try:
            if isinstance(champion, Network):
                challenger, losses = _network(plan, split, champion, progress)
            else:
                challenger, losses = _fleet(plan, split, progress)
        except FitFailed as error:
            raise TrainingFailed(str(error)) from error
        with progress.task("forecasting what was kept back") as told:
            verdict = judge(split.test, kind=plan.kind.name, challenger=challenger, champion=champion, told=told)
    if not verdict.series:
        raise TrainingFailed(
            "none of the histories is long enough to judge the new model by: two hours and more must be kept back, "
            f"and {plan.test:.0%} of each are; longer histories help, or a larger --test"
        )
    published = plan.force or not verdict.lost
    if published:
        write_atomically(plan.output, challenger.to_bytes())
        plan.checkpoint.unlink(missing_ok=True)
    (print_json if plan.json else print_table)(plan, verdict, losses, challenger.digest(), published=published)
    return 0 if published else REFUSED


def _champion(plan: Plan) -> Trained:
    """The model in use."""
    if plan.champion is None:
        shipped: Trained = plan.kind.known.shipped()
        return shipped
    return read_trained(plan.champion, plan.kind)


def _fleet(plan: Plan, split: Split, progress: Progress) -> tuple[Trained, list[float]]:
    """A fleet model, its trees grown anew; it has no validation losses."""
    with progress.task("looking at histories, growing trees") as told:
        return train_fleet(split.train, generated=plan.generated, seed=plan.seed, told=told), []


def _network(plan: Plan, split: Split, champion: Network, progress: Progress) -> tuple[Trained, list[float]]:
    """The trained network and its validation losses by epoch."""
    course = Course(epochs=plan.epochs, seed=plan.seed)
    start = None
    if not plan.from_scratch:
        units, dense = len(champion.cell_state), len(champion.second)
        start = champion
        course = Course(
            epochs=plan.epochs,
            seed=plan.seed,
            units=units,
            dense=dense,
            learning_rate=_FINE_TUNING * course.learning_rate,
        )
    recipe = Recipe(origins=plan.origins, generated=plan.generated, seed=plan.seed)
    options = {
        "course": repr(course), "recipe": repr(recipe), "start": start.digest() if start else "", "test": plan.test,
        "unseen": plan.unseen,
    }  # fmt: skip
    of = fingerprint(plan.histories, options)
    state = None if plan.restart else load_checkpoint(plan.checkpoint, of=of)
    with progress.task("looking at histories") as told:
        learned = corpus(split.train, recipe, told=told)
    descent = Descent(learned.train, learned.validate, course=course, state=state, start=start)
    if state is not None:
        progress.say(f"going on from {plan.checkpoint}: {state.batches} of {descent.total} batches are done")
    saved = time.monotonic()
    with progress.task("training") as told:
        for now in descent.steps():
            told(now.batches, descent.total)
            if now.batches % descent.batches_an_epoch == 0:
                progress.say(f"epoch {len(now.losses)}: loss {now.losses[-1]:.5f} on what was not shown")
            if time.monotonic() - saved >= plan.checkpoint_every:
                save_checkpoint(plan.checkpoint, now, of=of)
                saved = time.monotonic()
    # with it, a model that is refused can be published by force without training anew
    save_checkpoint(plan.checkpoint, descent.state, of=of)
    story = f"{learned.series} series and {plan.generated} generated ones, seed {plan.seed}"
    return descent.network(series=learned.series, story=story), list(descent.state.losses)
