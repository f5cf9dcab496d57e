"""As run_overhead_ratio, of four stages on two cores: passing messages counts more."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures.run_overhead_ratio import measured


def measure() -> Figure:
    return measured("vit_digits", (4, 7, 10), 8, 4)
