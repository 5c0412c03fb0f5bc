"""A page that stands alone: style and plots inside, nothing fetched, no scripts."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scaler.report.style import style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["capital", "document", "figure", "key", "table"]

# a browser that honours it fetches nothing, whatever a name in the data may look like
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, parts: Iterable[str]) -> str:
    """The whole page.

    Args:
        title: As plain text.
        parts: The body, as HTML.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style()}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, own: int | None = None) -> str:
    """A table that scrolls by itself where the screen is narrow.

    Args:
        heads: Of the columns, plain text.
        rows: Cells, plain text.
        own: The row that the page is about.
    """
    body = "".join(
        f'<tr class="{"own" if n == own else ""}">{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>'
        for n, row in enumerate(rows)
    )
    return (
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{escape(head)}</th>" for head in heads)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def key(*entries: tuple[str, str]) -> str:
    """What each colour stands for: the name of a variable of the style sheet, and words."""
    items = "".join(f'<li><i style="background:var(--{name})"></i>{escape(label)}</li>' for name, label in entries)
    return f'<ul class="key">{items}</ul>'


def figure(plot: str, caption: str = "") -> str:
    """A plot and what is to be said of it, plain text."""
    said = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{plot}{said}</figure>"


def capital(text: str) -> str:
    """With a capital letter at its front."""
    return text[:1].upper() + text[1:]
