"""Clock: one monotonic clock for all workers of a host, and sleeping until a moment on it."""

from __future__ import annotations

import ctypes
import time

_PR_SET_TIMERSLACK = 29


def now_ns() -> int:
    """Return the moment, nanoseconds on a clock that all processes of this host share."""
    return time.monotonic_ns()


def sleep_until(moment_ns: int) -> None:
    """Sleep until a moment of :func:`now_ns`; return at once if it has passed."""
    rest = moment_ns - now_ns()
    while rest > 0:
        time.sleep(rest * 1e-9)
        rest = moment_ns - now_ns()


def sharpen() -> None:
    """Let the kernel wake this thread without slack (50 microseconds by default)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
