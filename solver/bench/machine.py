"""Machine and versions: what a run was made with."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = ("partage", "numpy", "numba", "scipy", "ortools", "pulp")


@cache
def machine() -> dict[str, str | int]:
    """Return what this machine is: its name, processor, number of cores, memory, system."""
    return {
        "host": platform.node(),
        "cpu": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


@cache
def versions() -> dict[str, str]:
    """Return the versions of what a result depends on; ``commit`` if the sources are a git checkout.

    A commit ends in ``+`` if sources differ from it.
    """
    found = installed(PACKAGES)
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        if commit:
            changed = _git(root, "status", "--porcelain", "--", "models", "solver")
            found["commit"] = commit + ("+" if changed else "")
    return found


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those packages that are installed.

    Parameters
    ----------
    packages
        Their names.
    """
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
