from __future__ import annotations

import subprocess
import sys

_FAULTS = """
import resource, sys
import numpy as np
from scaler.heap import keep_pages
if sys.argv[1] == "kept":
    keep_pages()
def work():
    for _ in range(200):
        some = [np.ones(20_000) for _ in range(8)]
        del some
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, how], check=True, capture_output=True, text=True, timeout=100)
    return int(done.stdout)


def test_arrays_that_come_and_go_take_the_same_pages_again() -> None:
    assert faults("kept") < faults("given back") / 4
