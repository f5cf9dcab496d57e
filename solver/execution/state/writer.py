"""Writer: puts the states of blocks on the disk, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from models.document import Document, dump_json
from solver.execution.state.block_state import BlockState
from solver.execution.state.checkpoint import MANIFEST, About, Entry, File, Manifest, all_of, step_of

_PARTIAL = ".partial-"


class Writer:
    """Writes one checkpoint, block by block; there is none until :meth:`finish` has returned.

    Parameters
    ----------
    folder
        Folder of the checkpoints; made if missing.
    label
        Who writes there: what an earlier writer of that name has left half written is removed.

    Attributes
    ----------
    place
        Where it writes until it is published.
    """

    def __init__(self, folder: Path, label: str = "step") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._prefix = f"{_PARTIAL}{label}-"
        for left in folder.glob(f"{self._prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
        self.folder = folder
        self.place = Path(tempfile.mkdtemp(prefix=self._prefix, dir=folder))
        os.chmod(self.place, 0o755)
        self.entries: dict[str, Entry] = {}

    def add(self, block: str, state: BlockState) -> None:
        """Write the files of one block.

        Parameters
        ----------
        block, state
            Its name and its whole state.

        Raises
        ------
        OSError
            If the disk is full or fails; call :meth:`abandon` then.
        """
        stem = f"{len(self.entries):02d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', block)[:80]}"
        weights = self._write(f"{stem}.safetensors", state.weights)
        table = state.optimizer_table()
        optimizer = self._write(f"{stem}.optimizer.safetensors", table) if table else None
        self.entries[block] = Entry(weights=weights, optimizer=optimizer)

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> File:
        content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in tensors.items()})
        write_synced(self.place / name, content)
        return File(name=name, sha256=hashlib.sha256(content).hexdigest())

    def attach(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write files for other programs into a folder of the checkpoint.

        Parameters
        ----------
        folder
            Its name.
        files
            Content by name.

        Raises
        ------
        OSError
            As :meth:`add`.
        """
        place = self.place / folder
        place.mkdir()
        for name, content in files.items():
            write_synced(place / name, content)
        sync_folder(place)

    def finish(self, about: About, missing: tuple[str, ...] = ()) -> Path:
        """Make it a checkpoint; return its folder. One of the same step is replaced.

        Parameters
        ----------
        about
            What it is of.
        missing
            Blocks that are lost.

        Raises
        ------
        OSError
            As :meth:`add`.
        """
        manifest = Manifest(about=about, blocks=self.entries, missing=missing)
        return self.publish(f"step-{about.step:08d}" + ("-incomplete" if missing else ""), MANIFEST, manifest)

    def publish(self, name: str, manifest_name: str, manifest: Document) -> Path:
        """Write what says what was written, and give the folder its name.

        Parameters
        ----------
        name
            Of the folder; one that exists is replaced.
        manifest_name, manifest
            Name and content of the last file.
        """
        write_synced(self.place / manifest_name, dump_json(manifest.model_dump(mode="json")).encode())
        sync_folder(self.place)
        target = self.folder / name
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self.folder))
            os.rename(target, old / "old")
            os.rename(self.place, target)
            shutil.rmtree(old)
        else:
            os.rename(self.place, target)
        sync_folder(self.folder)
        return target

    def abandon(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.place, ignore_errors=True)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk.

    Parameters
    ----------
    path, content
        The file, and what is in it.
    """
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk.

    Parameters
    ----------
    folder
        The folder.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def prune(folder: Path, keep: int, step: int) -> None:
    """Remove all but the newest checkpoints of a run, and those of a run that it replaces.

    Parameters
    ----------
    folder
        Folder of the checkpoints.
    keep
        How many stay.
    step
        That of the one just written. Later ones are of another course of training: kept, they would push
        those of this run out, and a resumed run would go on with them.
    """
    found = all_of(folder)
    later = [one for one in found if step_of(one) > step]
    for old in (*found[: len(found) - len(later)][:-keep], *later):
        # Its manifest first: a checkpoint that is half removed is none.
        (old / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(old, ignore_errors=True)
