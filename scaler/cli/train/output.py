"""What the command says while it works, and what came of it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import progress as bars
from rich.console import Console
from rich.table import Table

from scaler.training.judge import CHALLENGER, CHAMPION
from scaler.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from scaler.cli.train.arguments import Plan
    from scaler.training.judge import Verdict

__all__ = ["Progress", "print_json", "print_table", "words"]


class Progress:
    """Bars with the time that is left, where somebody watches; a line now and then, where nobody does.

    Args:
        quiet: No lines.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def task(self, doing: str) -> Iterator[Callable[[int, int], None]]:
        """A bar; what it gives is called with what is done and what there is."""
        task = self._bars.add_task(doing, total=None)
        yield lambda done, total: self._bars.update(task, completed=done, total=total)
        self._bars.remove_task(task)

    def say(self, text: str) -> None:
        """A line on standard error."""
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True)


def words(plan: Plan, verdict: Verdict, *, published: bool) -> str:
    """What became of the new model, in a sentence."""
    new, old = verdict.losses[CHALLENGER], verdict.losses[CHAMPION]
    against = f"its loss is {new:.3f} of the last value's on what was kept back, that of the one in use {old:.3f}"
    if not published:
        return f"not published: the new model loses to the one in use ({against}); --force publishes it all the same"
    if verdict.lost:
        return f"published by force as {plan.output}, although {against}"
    return f"published as {plan.output}: {against}"


def print_table(plan: Plan, verdict: Verdict, losses: list[float], digest: str, *, published: bool) -> None:
    """The losses, and what became of the model."""
    table = Table(
        title=f"pinball loss on what was kept back of {plural(verdict.series, 'series')}", title_justify="left"
    )
    table.add_column("method")
    table.add_column("share of naive's", justify="right")
    for name, loss in sorted(verdict.losses.items(), key=lambda item: item[1]):
        table.add_row(name, f"{loss:.3f}")
    Console().print(table)
    del losses
    print(f"{words(plan, verdict, published=published)}; model {digest}")


def print_json(plan: Plan, verdict: Verdict, losses: list[float], digest: str, *, published: bool) -> None:
    """The same for machines."""
    document = {
        "model": plan.kind.name,
        "output": str(plan.output),
        "digest": digest,
        "published": published,
        "series_learned_from": len(plan.histories) - verdict.unseen,
        "series_judged": verdict.series,
        "series_unseen": verdict.unseen,
        "losses": dict(verdict.losses),
        "validation_losses": losses,
    }
    json.dump(document, sys.stdout, indent=2)
    print()
