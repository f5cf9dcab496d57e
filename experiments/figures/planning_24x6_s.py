"""Seconds to a proven optimum: 24 blocks, 6 unequal boards, memory tight; slowest of three seeds."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures._planning import planning_figure


def measure() -> Figure:
    return planning_figure(24, 6, goal_s=2.0)
