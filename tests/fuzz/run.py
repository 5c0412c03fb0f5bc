"""Fuzzes by coverage: `python -m tests.fuzz.run [--seconds 60] [--seed 1] [--corpus DIR] [TARGET ...]`.

Runs each target in a process of its own, as a crash must not end the others, and prints how many inputs it took.
What is found stays in the corpus directory as `crash-...`, to be fed again with `--again FILE TARGET`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_INPUT = 16_384
_MEMORY = 2048  # MiB: an input that takes more is a finding
_SLOWEST = 10  # seconds: likewise
_EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)|^Done (\d+) runs", re.MULTILINE)
_INSTRUMENTED = ("scaler", "forecasting", "tomllib", "prometheus_client")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the targets; 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which ones (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzer's chance (default: 1)")
    parser.add_argument("--corpus", type=Path, help="what was found interesting is kept there, and begun with")
    parser.add_argument("--again", type=Path, help="feed this file to the target, once, without a fuzzer")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        return _fuzz(options.targets[0], options.corpus, seconds=options.seconds, seed=options.seed)
    if options.again:
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # takes a moment that the parent need not

        TARGETS[options.targets[0]].feed(options.again.read_bytes())
        return 0
    names = options.targets or _names()
    with tempfile.TemporaryDirectory(prefix="foresail-fuzz-") as temporary:
        corpus = options.corpus or Path(temporary)
        failed = [name for name in names if not _run(name, corpus / name, seconds=options.seconds, seed=options.seed)]
        if failed and not options.corpus:
            print(f"found something: {', '.join(failed)}; run again with --corpus DIR to keep it")
    return 1 if failed else 0


def _names() -> list[str]:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # as above

    return list(TARGETS)


def _run(name: str, corpus: Path, *, seconds: int, seed: int) -> bool:
    """One target in a process of its own; whether it came through."""
    corpus.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.run", "--here", name, "--corpus", str(corpus)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--seed", str(seed)], capture_output=True, text=True, check=False
    )
    found = list(_EXECUTED.finditer(done.stderr))
    executed = next((int(number) for match in reversed(found) for number in match.groups() if number), 0)
    print(f"| {name} | {executed:,} | {'none' if done.returncode == 0 else 'FOUND'} |", flush=True)
    if done.returncode:
        print(done.stderr[-4000:])
    return done.returncode == 0


def _fuzz(name: str, corpus: Path, *, seconds: int, seed: int) -> int:
    """Runs atheris in this process; does not return."""
    import atheris  # noqa: PLC0415  # of an extra of its own

    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415  # instrumented while it is imported
    target = TARGETS[name]
    for number, example in enumerate(target.examples):
        (corpus / f"example-{number}").write_bytes(example)
    limits = {"max_total_time": seconds, "max_len": _LONGEST_INPUT, "rss_limit_mb": _MEMORY, "timeout": _SLOWEST}
    options = {"seed": seed, "artifact_prefix": f"{corpus}/", "print_final_stats": 1, **limits}
    atheris.Setup(
        [sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in options.items())],
        target.feed,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
