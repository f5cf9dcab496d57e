"""As run_overhead_ratio, of a larger net: computing counts more."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures.run_overhead_ratio import measured


def measure() -> Figure:
    return measured("minilm", (6,), 8, 2)
