"""What a serving process imports decides how soon it answers, and what it takes while it does nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

NUMERICS = ("numpy", "scipy", "pandas", "statsmodels", "lightgbm", "torch")


@pytest.mark.parametrize(
    ("module", "without"), [("scaler.cli.serve", NUMERICS), ("scaler.engine.process", NUMERICS[1:])]
)
def test_the_edge_imports_no_numerics_and_the_engine_no_libraries_that_fit(
    module: str, without: tuple[str, ...]
) -> None:
    program = f"import sys, {module}; print(sorted(set({without}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_names_of_the_package_are_there_when_they_are_asked_for() -> None:
    program = (
        "import forecasting; print(all(getattr(forecasting, name).__name__ == name for name in forecasting.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    done = subprocess.run(
        [sys.executable, "-c", "import forecasting; forecasting.nothing"], capture_output=True, text=True, check=False
    )
    assert "AttributeError: module 'forecasting' has no attribute 'nothing'" in done.stderr
