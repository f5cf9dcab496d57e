"""Seconds to a proven optimum: 96 blocks, 16 unequal boards, memory tight; slowest of three seeds."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures._planning import planning_figure


def measure() -> Figure:
    return planning_figure(96, 16, goal_s=10.0)
