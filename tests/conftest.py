"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# as `make test`, the workers and the command line do: on a busy machine the threads of OpenBLAS wait for one another
# ten times longer than these small regressions take. numpy reads this when it is imported, after this file.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# the machine may stall for a moment; how long an example takes is no property of ours
settings.register_profile("foresail", deadline=None)
settings.load_profile("foresail")
