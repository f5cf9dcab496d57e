"""Seconds until `partage --help` has answered."""

from __future__ import annotations

import subprocess
import sys

from experiments.figures import Figure, median_s


def measure() -> Figure:
    return Figure(
        value=median_s(lambda: run("-m", "solver.cli", "--help")),
        unit="s",
        baseline=median_s(lambda: run("-c", "pass")),
        baseline_is="starting Python and ending it",
        lower_is_better=True,
        goal=0.5,
    )


def run(*words: str) -> None:
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
