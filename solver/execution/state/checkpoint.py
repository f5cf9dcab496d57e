"""Checkpoint: a folder with the whole state of every block, the same whatever plan it was trained by.

::

    step-00000020/
        checkpoint.json                     what it is of, and the sha256 of every other file; written last
        00-patches.safetensors              the block's ``state_dict``
        00-patches.optimizer.safetensors    its optimizer's tensors by SLOT.PARAMETER
        adapter/                            low-rank adapters for other programs, if that is what was trained

It is written under another name and renamed when all of it is on the disk, see
:mod:`solver.execution.state.writer`: it is there whole or not at all. Nothing in it is executed when it is
read.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import safetensors
import safetensors.torch
from pydantic import Field

from models.document import Document, read, validate
from models.errors import Fault, InputError
from solver.execution.state.block_state import BlockState, optimizer_of_table
from solver.job import Job

FOLDER = "checkpoints"
"""Where a run keeps its checkpoints, under its own folder."""

MANIFEST = "checkpoint.json"
_NAME = re.compile(r"step-\d{8,}")


class File(Document):
    """A file of tensors.

    Parameters
    ----------
    name
        In the checkpoint's folder.
    sha256
        Digest of its content.
    """

    name: str = Field(pattern=r"^[^/]+\.safetensors$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Entry(Document):
    """One block.

    Parameters
    ----------
    weights, optimizer
        Its files; no second one where the optimizer keeps nothing.
    """

    weights: File
    optimizer: File | None = None


class About(Document):
    """What a checkpoint is of.

    Parameters
    ----------
    version
        Of this format.
    step
        Steps that are wholly in it.
    seed
        Of weights and data.
    samples
        Position in the data: samples drawn so far, ``step`` batches.
    learning_rate
        Step size of the optimizer; null: its default.
    workload, workload_sha256
        Name and digest of what is trained.
    job
        How it is trained.
    losses
        Of every step so far; null: no finite number.
    """

    version: Literal[1] = 1
    step: int = Field(ge=0)
    seed: int = Field(ge=0)
    samples: int = Field(ge=0)
    learning_rate: float | None = None
    workload: str
    workload_sha256: str
    job: Job
    losses: tuple[float | None, ...] = ()


class Manifest(Document):
    """The JSON of a checkpoint.

    Parameters
    ----------
    about
        What it is of.
    blocks
        By name.
    missing
        Blocks of which no device was left that holds them.
    """

    about: About
    blocks: dict[str, Entry]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk.

    Parameters
    ----------
    folder
        Where its files are.
    manifest
        Its JSON.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a checkpoint, or the newest whole one of a run.

        Parameters
        ----------
        path
            Folder of the checkpoint, of a run, or of its checkpoints.

        Raises
        ------
        InputError
            If there is none, or its JSON is damaged.
        """
        folder = path if (path / MANIFEST).exists() else newest(path)
        if folder is None:
            message = f"{path} holds no whole checkpoint; give the folder of a run or of a checkpoint"
            raise InputError([Fault("resume", message)], "checkpoint")
        return cls(folder, validate(Manifest, read(folder / MANIFEST), str(folder / MANIFEST)))

    def faults(self) -> list[Fault]:
        """Return every file that is missing, damaged or not what the manifest says."""
        found = [Fault(f"blocks.{name}", "no device was left that held it") for name in self.manifest.missing]
        for block, entry in self.manifest.blocks.items():
            for file in filter(None, (entry.weights, entry.optimizer)):
                try:
                    content = (self.folder / file.name).read_bytes()
                except OSError as error:
                    found.append(Fault(f"blocks.{block}", f"cannot read {file.name}: {error}"))
                    continue
                if hashlib.sha256(content).hexdigest() != file.sha256:
                    message = f"{file.name} is damaged: its sha256 is not the one in {MANIFEST}"
                    found.append(Fault(f"blocks.{block}", message))
        return found

    def shapes(self, block: str) -> dict[str, tuple[tuple[int, ...], str]]:
        """Return shape and number format of a block's weights, read from the head of its file."""
        with safetensors.safe_open(self.folder / self.manifest.blocks[block].weights.name, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tuple(part.get_shape()), str(part.get_dtype())) for name, part in slices.items()}

    def block(self, name: str) -> BlockState:
        """Return the whole state of a block."""
        return load_entry(self.folder, self.manifest.blocks[name])


def load_entry(folder: Path, entry: Entry) -> BlockState:
    """Return the state in the files of one block.

    Parameters
    ----------
    folder, entry
        Where they are, and their names.
    """
    weights = safetensors.torch.load_file(folder / entry.weights.name)
    table = {}
    if entry.optimizer is not None:
        table = safetensors.torch.load_file(folder / entry.optimizer.name)
    return BlockState(weights, optimizer_of_table(table))


def all_of(path: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first.

    Parameters
    ----------
    path
        Folder of a run, or of its checkpoints.
    """
    places = [place for place in (path, path / FOLDER) if place.is_dir()]
    found = [one for place in places for one in place.iterdir() if (one / MANIFEST).exists()]
    return sorted((one for one in found if _NAME.fullmatch(one.name)), key=step_of)


def step_of(folder: Path) -> int:
    """Return the number of steps that the name of a checkpoint's folder says.

    Parameters
    ----------
    folder
        The checkpoint.
    """
    return int(folder.name.removeprefix("step-"))


def newest(path: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, ``None`` if there is none.

    Parameters
    ----------
    path
        Folder of a run, or of its checkpoints.
    """
    return next(reversed(all_of(path)), None)
