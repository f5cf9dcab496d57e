"""Checkpoint: weights and optimizer state in files that are read back without running anything."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from models.document import dump_json, write_text
from solver.execution.replica import Replica


def save(folder: Path, device: str, replica: Replica, num_steps: int) -> None:
    """Write what a worker holds: ``DEVICE.pt`` and ``DEVICE.json`` beside it.

    Parameters
    ----------
    folder
        Made if missing.
    device
        Whose state.
    replica
        The state.
    num_steps
        Steps that are wholly in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = replica.optimizer.state_dict()["state"] if replica.optimizer is not None else {}
    content = {"weights": replica.state(), "optimizer": optimizer}
    stream = io.BytesIO()
    torch.save(content, stream)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{device}.")
    with os.fdopen(handle, "wb") as file:
        file.write(stream.getvalue())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / f"{device}.pt")
    about = {"device": device, "steps": num_steps, "blocks": list(replica.net.blocks)}
    write_text(folder / f"{device}.json", dump_json(about), overwrite=True)


def load(folder: Path, device: str) -> Mapping[str, Any]:
    """Return what :func:`save` wrote; nothing in the file is executed.

    Parameters
    ----------
    folder, device
        Where, and whose.
    """
    found: Mapping[str, Any] = torch.load(folder / f"{device}.pt", weights_only=True)
    return found
