"""Catalogue of nets: every file in this folder that defines ``spec()`` is a net of the file's name."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import Fault, InputError

if TYPE_CHECKING:
    import torch

    from models.nets.net import Net, NetSpec

FOLDER = Path(__file__).parent
_DEFINES_NET = re.compile(r"^def spec\(\)", re.MULTILINE)


def names() -> tuple[str, ...]:
    """Return the names of all nets, sorted; nothing is imported."""
    files = sorted(FOLDER.glob("*.py"))
    return tuple(path.stem for path in files if _DEFINES_NET.search(path.read_text(encoding="utf-8")))


def spec(name: str) -> NetSpec:
    """Return the specification of a net.

    Parameters
    ----------
    name
        Name of a file in this folder.

    Raises
    ------
    InputError
        If there is no such net (the nearest names are shown), or its file is broken.
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or known
        message = f"no net is called {name!r}; nearest: {', '.join(near)}"
        raise InputError([Fault("net", message)], "net")
    try:
        found: NetSpec = importlib.import_module(f"models.nets.{name}").spec()
    except InputError:
        raise
    except Exception as error:
        message = f"models/nets/{name}.py is broken: {type(error).__name__}: {error}"
        raise InputError([Fault("net", message)], f"net {name}") from error
    return found


def trainable() -> tuple[str, ...]:
    """Return the names of the nets that have data to train on here."""
    return tuple(name for name in names() if spec(name).dataset is not None)


def build(
    name: str,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    only: Collection[str] | None = None,
) -> Net:
    """Build a net of the catalogue, or the blocks of it that one process holds.

    Parameters
    ----------
    name
        Name of the net.
    seed
        Seed of the weights; a block's weights depend on it and on the block's name alone.
    dtype
        Number format; single precision if ``None``.
    device
        ``cpu``, or ``meta`` for shapes without values.
    only
        Names of the blocks to build; all if ``None``.

    Raises
    ------
    InputError
        If there is no such net, or what it needs is not installed.
    """
    import torch

    from models.nets.net import build_net

    return build_net(spec(name), seed, torch.float32 if dtype is None else dtype, device, only)
