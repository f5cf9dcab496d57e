"""Allowance: how much of a search an attempt at a bound may take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from solver.search.incumbent import Search
from solver.working_clock import working_s


@dataclass
class Allowance:
    """How much an attempt may take: units of work where the search counts them, seconds elsewhere."""

    search: Search
    part: float
    units: int

    def __post_init__(self) -> None:
        """Note where it begins."""
        search = self.search
        self.until_work = self.until_s = math.inf
        if search.work_limit is not None:
            self.until_work = search.work + max(1, int(self.part * (search.work_limit - search.work)))
        elif math.isfinite(search.remaining_s):
            self.until_s = working_s() + self.part * max(0.0, search.remaining_s)
        else:
            self.until_work = search.work + self.units

    @property
    def is_spent(self) -> bool:
        """Whether the attempt is to be given up."""
        return self.search.work >= self.until_work or working_s() >= self.until_s
