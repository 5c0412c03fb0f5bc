"""The report of a replay: one page that stands alone."""

from scaler.replay.report.content import Content, Shown
from scaler.replay.report.page import page

__all__ = ["Content", "Shown", "page"]
