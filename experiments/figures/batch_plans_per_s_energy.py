"""Plans scored in batches in a second, energy included; 24 blocks, 8 boards."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures._batches import measure_batches


def measure() -> Figure:
    return measure_batches(energy=True, goal=5e4)
