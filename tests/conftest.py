"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# the machine may stall for a moment; how long an example takes is no property of ours
settings.register_profile("foresail", deadline=None)
settings.load_profile("foresail")
