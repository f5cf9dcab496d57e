"""Page again: the page of a training's folder from what its ledger and its parts say now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.document import read, validate
from models.errors import Fault, InputError
from solver.phases.chain import LEDGER, Done, Entry, Ledger, digest_of_file
from solver.phases.folder import (
    CLUSTER,
    DEPLOYMENT,
    NAMES,
    PARTICIPANTS,
    PARTS,
    PLAN,
    TRAINING,
    cluster_figures,
    deployment_figures,
    participants_figures,
    plan_figures,
)
from solver.phases.page import page
from solver.phases.training import FIGURES

TELLS: dict[str, Callable[[Path], dict[str, Any]]] = {
    CLUSTER: cluster_figures,
    PARTICIPANTS: participants_figures,
    PLAN: plan_figures,
    DEPLOYMENT: deployment_figures,
    TRAINING: lambda folder: dict(read(folder / FIGURES)),
}
"""What came of a part, read from it."""


def training_folder(path: Path) -> Path | None:
    """Return the folder of a training that a path names, itself or by its last part; ``None`` if none."""
    folder = path.parent if path.name == TRAINING else path
    return folder if (folder / LEDGER).is_file() else None


def training_page(folder: Path, beside: Path | None = None) -> str:
    """Return the page of a training's folder; of one that is under way, what there is of it.

    Parameters
    ----------
    folder
        The folder.
    beside
        Folder in which the page will lie.

    Raises
    ------
    InputError
        If it has no plan yet, or a part of it is damaged.
    """
    ledger = validate(Ledger, read(folder / LEDGER), str(folder / LEDGER))
    if not (folder / PLAN).exists():
        raise InputError([Fault(PLAN, "is not there yet: partage train makes it")], str(folder))
    parts = zip(NAMES, PARTS, strict=True)
    whole = [(name, part) for name, part in parts if name in ledger.phases and name != ledger.begun]
    done = [
        _done(folder, name, part, ledger.phases[name]) for name, part in whole if _is_there(folder / part)
    ]
    return page(folder, done, beside)


def _is_there(part: Path) -> bool:
    return (part / FIGURES).is_file() if part.name == TRAINING else part.exists()


def _done(folder: Path, name: str, part: str, entry: Entry) -> Done:
    path = folder / part
    edited = path.is_file() and digest_of_file(path) != entry.sha256
    yours = edited or entry.state == "yours"
    why = "you gave or changed it" if yours else "by its phase, from the parts above"
    return Done(
        name, path, "yours" if yours else "made", why, 0.0 if yours else entry.wall_s, TELLS[part](path)
    )
