"""Drill: faults done on purpose at their moment, and undone again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from solver.execution.elastic.strikes import Strike


class Striker(Protocol):
    """What can be done to processes on purpose."""

    def strike(self, strike: Strike) -> None:
        """Do a fault."""

    def heal(self, strike: Strike) -> None:
        """End a fault."""


class Drill:
    """The faults of one run.

    Parameters
    ----------
    strikes
        What is to be done.
    hands
        Does it.
    start
        Starts the process of a device again.

    Attributes
    ----------
    struck_s
        Device to when it was struck, until its loss is noticed.
    """

    def __init__(self, strikes: Sequence[Strike], hands: Striker, start: Callable[[str], None]) -> None:
        self.hands, self.start = hands, start
        self.struck_s: dict[str, float] = {}
        self._strikes = list(strikes)
        self._due: list[tuple[float, Strike]] = []
        self._back: list[tuple[int, Strike]] = []

    def step(self, step: int) -> None:
        """Begin a step: what is to happen in it gets its moment, and who is to return in it does.

        Parameters
        ----------
        step
            Its number.
        """
        now = time.monotonic()
        self._due += [(now + s.delay_s, s) for s in self._strikes if s.step == step]
        self._strikes = [s for s in self._strikes if s.step > step]
        for back, strike in self._back:
            if back == step:
                if strike.kind == "kill":
                    self.start(strike.device)
                else:
                    self.hands.heal(strike)
        self._back = [one for one in self._back if one[0] > step]

    def carry_out(self, is_busy: Callable[[str], bool]) -> None:
        """Do what is due now.

        Parameters
        ----------
        is_busy
            Whether a device takes part; one that does not is spared.
        """
        now = time.monotonic()
        for moment, strike in self._due:
            if moment <= now and is_busy(strike.device):
                self.struck_s |= dict.fromkeys(filter(None, (strike.device, strike.peer)), time.monotonic())
                self.hands.strike(strike)
                if strike.back_after is not None:
                    self._back.append((strike.step + strike.back_after, strike))
        self._due = [one for one in self._due if one[0] > now]
