"""Machine: what a worker tells the kernel, and what a trace says about where it was made."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import signal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def mend_gloo_threads() -> None:
    """Schedule gloo's event threads as batch work, without which messages wait for a kernel tick."""
    for task in Path("/proc/self/task").iterdir():
        try:
            if (task / "comm").read_text().strip() == "gloo_tcp_loop":
                os.sched_setscheduler(int(task.name), os.SCHED_BATCH, os.sched_param(0))
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread ended while we looked


def host() -> int:
    """Return a number that is the same for all processes that share this host's clock."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    text = boot.read_text() if boot.exists() else platform.node()
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def memory_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def about() -> dict[str, Any]:
    """Return versions and machine, for traces."""
    found = {}
    for name in ("partage", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {
        "versions": {"python": platform.python_version(), **found},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
        },
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
