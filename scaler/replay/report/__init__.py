"""The report of a replay: one page that stands alone."""

from scaler.replay.report.content import Content, Shown
from scaler.replay.report.page import page
from scaler.replay.report.words import gate_in_words

__all__ = ["Content", "Shown", "gate_in_words", "page"]
