"""What holds for all tests."""

from __future__ import annotations

import signal

# Whoever starts the tests in the background may have Ctrl-C ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.SIG_DFL):
    signal.signal(signal.SIGINT, signal.default_int_handler)
