"""What the demo shows: one line a second, and at the end what it came to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scaler.words import number

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from scaler.demo.cluster import Cluster

__all__ = ["Row", "View"]

_ROWS = 20
_COLUMNS = (
    ("time", "right"),
    ("observed", "right"),
    ("forecast", "right"),
    ("served", "right"),
    ("plain KEDA", "right"),
    ("short", "right"),
    ("Foresail", "right"),
    ("short", "right"),
    ("why", "left"),
)
_WIDTHS = (6, 9, 9, 9, 12, 6, 12, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One second of the demo. Unknown numbers are None.

    Attributes:
        elapsed: Seconds since the start.
        observed: Load that the source gave.
        forecast: Quantile of the peak within the window.
        served: What the active trigger was answered.
        plain: Ready and existing pods that plain KEDA holds.
        plain_short: Load that finds no ready pod of these.
        ahead: Ready and existing pods with Foresail.
        ahead_short: Load that finds no ready pod of these.
        why: The decision in a few words.
    """

    elapsed: int
    observed: float | None
    forecast: float | None
    served: float | None
    plain: tuple[int, int]
    plain_short: float
    ahead: tuple[int, int]
    ahead_short: float
    why: str

    def cells(self) -> tuple[str, ...]:
        """The row's texts, in the order of the columns."""
        return (
            f"{self.elapsed // 60}:{self.elapsed % 60:02d}",
            _load(self.observed),
            _load(self.forecast),
            _load(self.served),
            _pods(*self.plain),
            _load(self.plain_short) if self.plain_short >= 0.5 else "",
            _pods(*self.ahead),
            _load(self.ahead_short) if self.ahead_short >= 0.5 else "",
            self.why,
        )


class View:
    """A live table on a terminal, plain lines elsewhere. Use it as a context manager."""

    def __init__(self, console: Console, *, intro: str) -> None:
        self._console = console
        self._intro = intro
        self._rows: deque[Row] = deque(maxlen=_ROWS)
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        self._console.print(self._intro, highlight=False, soft_wrap=True)
        if self._live is not None:
            self._live.__enter__()
        else:
            self._line(tuple(name for name, _ in _COLUMNS))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)

    def show(self, row: Row) -> None:
        """Adds a row."""
        self._rows.append(row)
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        else:
            self._line(row.cells())

    def summary(self, plain: Cluster, ahead: Cluster) -> None:
        """What the demo came to."""
        table = Table(title="What it came to", title_justify="left")
        for name, justify in (("", "left"), ("load without a ready pod", "right"), ("pods on average", "right")):
            table.add_column(name, justify="right" if justify == "right" else "left")
        for name, cluster in (("plain KEDA", plain), ("Foresail", ahead)):
            table.add_row(name, f"{100 * cluster.account.shed:.1f} %", number(round(cluster.account.pods, 1)))
        self._console.print(table)

    def _table(self) -> Group:
        table = Table(expand=False)
        for name, justify in _COLUMNS:
            table.add_column(name, justify="left" if justify == "left" else "right", no_wrap=True)
        for row in self._rows:
            cells = [Text(cell) for cell in row.cells()]
            cells[5].stylize("bold red")
            cells[7].stylize("bold red")
            table.add_row(*cells)
        return Group(table)

    def _line(self, cells: tuple[str, ...]) -> None:
        aligned = [cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
        self._console.print("  ".join([*aligned, cells[-1]]), highlight=False, soft_wrap=True, markup=False)


def _load(value: float | None) -> str:
    return "?" if value is None else number(round(value))


def _pods(ready: int, total: int) -> str:
    return f"{ready} ready" if ready == total else f"{ready} of {total}"
