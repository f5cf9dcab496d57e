"""Interrupt: the first Ctrl-C asks a run to end well, the second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def asked_to_stop(tell: Callable[[], None]) -> Iterator[threading.Event]:
    """Hear Ctrl-C; only the main thread of a process can.

    Parameters
    ----------
    tell
        Called at the first one.

    Yields
    ------
    Event
        Set by the first one; the second one raises ``KeyboardInterrupt``.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        tell()

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
