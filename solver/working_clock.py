"""Working clock: wall time in which this process works, not that in which numba makes machine code.

Machine code is made once a machine and kept; a limit on a search, and the time a search took, mean the same
on the first run and on all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from numba.core import event

Told = Callable[[bool], None]


class _Compiling(cast("type[Any]", event.Listener)):  # type: ignore[misc]
    """Adds up the seconds in which anything is compiled; what compiles inside of that counts once."""

    def __init__(self) -> None:
        self.depth, self.began, self.total_s = 0, 0.0, 0.0
        self.told: list[Told] = []

    def on_start(self, _event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.began = time.monotonic()
            self._tell(True)

    def on_end(self, _event: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.total_s += time.monotonic() - self.began
            self._tell(False)

    def _tell(self, begins: bool) -> None:
        for told in self.told:
            told(begins)


_COMPILING = _Compiling()
event.register("numba:compile", _COMPILING)  # type: ignore[no-untyped-call]


def working_s() -> float:
    """Return seconds of a clock that stands still while numba compiles; only differences mean something."""
    now = time.monotonic()
    if _COMPILING.depth:
        return _COMPILING.began - _COMPILING.total_s
    return now - _COMPILING.total_s


def when_compiling(told: Told) -> None:
    """Call a function with True when compiling begins, and with False when it ends.

    Parameters
    ----------
    told
        What to call.
    """
    _COMPILING.told.append(told)
