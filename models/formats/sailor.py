"""Data of Sailor: runs of a language model on GPU clusters, with profiles, network curves and plans.

Source: github.com/eth-easl/sailor (Strati et al., "Sailor: automating distributed training over dynamic,
heterogeneous, and geo-distributed clusters", SOSP 2025). A folder holds

* ``validation/<cluster>_<net>/.../*.json``, the runs: ``pipeline_list`` with, per stage, its layers, its
  data-parallel copies (each ``[[[GPU, count, zone], ...], tensor degree]``) and their number ``dp``;
  ``mbs`` and ``gbs`` (samples of a micro-batch of one copy, and of an iteration); and what was measured,
  ``real`` (seconds an iteration) and ``max_mem`` (bytes of the fullest GPU), which may be left out;
* ``profiles/<net>/<GPU>/profile.json``: micro-batch to tensor degree to layer to seconds of forward, backward
  and update on one GPU of the tensor group;
* ``network/*.json``: bandwidth by message size, as coefficients of a parabola and the largest value measured;
* ``training_config_*.json``: shapes of nets; ``basic_cluster_config.json``: GPUs of a node, their memory.

What a folder lacks is taken from the data of this package; the runs are its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.document import faults_of, read
from models.errors import Fault, InputError

PUBLIC = Path(__file__).parent / "instances" / "sailor"
"""The data of this package."""

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0)]
Layer = Annotated[int, Field(ge=0)]
Profile = dict[Count, dict[Count, dict[Layer, tuple[Seconds, Seconds, Seconds]]]]
"""Micro-batch, tensor degree, layer: seconds of forward, backward and update."""


class _Open(BaseModel):
    """Part of a file that may have words beside those we read."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Copy(_Open):
    """One data-parallel copy of a stage: a tensor group on GPUs.

    Parameters
    ----------
    gpus
        (GPU, how many, zone).
    degree
        Tensor degree.
    """

    gpus: tuple[tuple[str, Count, str], ...] = Field(min_length=1)
    degree: Count

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: Any) -> Any:
        is_pair = isinstance(data, list | tuple) and len(data) == 2
        return {"gpus": data[0], "degree": data[1]} if is_pair else data

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        count = sum(number for _, number, _ in self.gpus)
        if count != self.degree and (count % self.degree or len(self.gpus) > 1):
            message = f"{count} GPUs cannot be tensor groups of {self.degree}"
            raise ValueError(message)
        if len({kind for kind, _, _ in self.gpus}) > 1:
            raise ValueError("a tensor group of several kinds of GPU was not profiled")
        return self

    @property
    def groups(self) -> tuple[Copy, ...]:
        """The tensor groups: itself, or as many as its GPUs of one kind and zone make."""
        count = sum(number for _, number, _ in self.gpus)
        if count == self.degree:
            return (self,)
        kind, _, zone = self.gpus[0]
        return (Copy(gpus=((kind, self.degree, zone),), degree=self.degree),) * (count // self.degree)


class PlannedPipeline(_Open):
    """One pipeline of a run: per stage its layers, its copies, and how many copies."""

    layers_per_stage: tuple[Annotated[tuple[Layer, ...], Field(min_length=1)], ...]
    tmp_per_stage: tuple[Annotated[tuple[Copy, ...], Field(min_length=1)], ...]
    dp: tuple[Count, ...]

    @model_validator(mode="after")
    def _same_stages(self) -> Self:
        lengths = len(self.layers_per_stage), len(self.tmp_per_stage), len(self.dp)
        if len(set(lengths)) > 1 or not lengths[0]:
            raise ValueError(
                f"layers_per_stage, tmp_per_stage and dp are of {lengths} stages: must be the same, not 0"
            )
        for i, (copies, number) in enumerate(zip(self.copies, self.dp, strict=True)):
            if len(copies) != number:
                raise ValueError(f"stage {i} has {len(copies)} copies in tmp_per_stage and {number} in dp")
        return self

    @property
    def copies(self) -> tuple[tuple[Copy, ...], ...]:
        """The copies of every stage, each one tensor group."""
        return tuple(tuple(group for copy in stage for group in copy.groups) for stage in self.tmp_per_stage)


class PlannedRun(_Open):
    """A run: its plan, and what was measured.

    Parameters
    ----------
    pipeline_list
        The pipelines.
    mbs, gbs
        Samples of a micro-batch of one copy, and of an iteration.
    real
        Seconds of an iteration; ``None``: not measured.
    max_mem
        Peak bytes of the fullest GPU; ``None``: not measured.
    """

    pipeline_list: tuple[PlannedPipeline, ...] = Field(min_length=1)
    mbs: Count
    gbs: Count
    real: Positive | None = None
    max_mem: Count | None = None

    @property
    def gpus(self) -> dict[str, int]:
        """How many GPUs of every kind it uses, all pipelines together, kinds sorted."""
        copies = [c for p in self.pipeline_list for stage in p.copies for c in stage]
        named = [(kind, count) for copy in copies for kind, count, _ in copy.gpus]
        return {kind: sum(n for k, n in named if k == kind) for kind in sorted({kind for kind, _ in named})}


class Shape(_Open):
    """Shape of a transformer net and the tokens of a sample."""

    model: str
    hidden_size: Count
    sequence_length: Count
    num_layers: Count
    vocab_size: Count
    heads: Count
    max_position_embeddings: Annotated[int, Field(ge=0)] = 0


class Node(_Open):
    """GPUs of one node, and the memory of each."""

    gpus_per_node: Count
    mem_per_gpu: Count


class Curve(_Open):
    """Bandwidth by message size: a parabola over log2 of the size in MiB, GB/s, up to the largest measured.

    Parameters
    ----------
    coefficients
        Of the parabola, highest power first.
    peak_bytes_per_s
        Largest bandwidth measured.
    """

    coefficients: tuple[float, float, float]
    peak_bytes_per_s: Positive

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: Any) -> Any:
        is_pair = isinstance(data, list | tuple) and len(data) == 2
        return {"coefficients": data[0], "peak_bytes_per_s": data[1]} if is_pair else data

    def bytes_per_s(self, size: float) -> float:
        """Return the bandwidth of a message, bytes per second.

        Parameters
        ----------
        size
            Bytes; below 1 MiB, where nothing was measured, as at 1 MiB.
        """
        a, b, c = self.coefficients
        x = max(0.0, math.log2(size / 2**20))
        return min((a * x * x + b * x + c) * 1e9, self.peak_bytes_per_s)


Within = dict[str, dict[int, Curve]]
Across = dict[str, dict[str, dict[int, dict[str, dict[str, dict[int, Curve]]]]]]


@dataclass(frozen=True)
class SailorData:
    """What a folder says.

    Parameters
    ----------
    runs
        By id: the path below ``validation/`` without ``.json``.
    nets
        Net of every run, by id.
    profiles
        By (net, GPU).
    shapes
        By net.
    nodes
        By GPU.
    within
        GPU to number of GPUs that talk inside a node to curve.
    across
        Zone, GPU and number that talk, then zone, GPU and number they talk to: curve.
    borrowed
        Files that are the package's, because the folder has none.
    """

    runs: dict[str, PlannedRun]
    nets: dict[str, str]
    profiles: dict[tuple[str, str], Profile]
    shapes: dict[str, Shape]
    nodes: dict[str, Node]
    within: Within
    across: Across
    borrowed: tuple[str, ...] = ()


@dataclass
class _Reader:
    """Reads the files of a folder and keeps every fault."""

    folder: Path
    faults: list[Fault] = field(default_factory=list)
    borrowed: list[str] = field(default_factory=list)

    def find(self, place: str) -> Path:
        """Return the folder's file, or the package's."""
        own = self.folder / place
        if own.exists() or self.folder == PUBLIC or not (PUBLIC / place).exists():
            return own
        self.borrowed.append(place)
        return PUBLIC / place

    def parse(self, path: Path, make: Callable[[Any], Any]) -> Any:
        """Return what ``make`` makes of a file; ``None``, with its faults kept, if it cannot be used."""
        inside = self.folder if path.is_relative_to(self.folder) else PUBLIC
        place = path.relative_to(inside).as_posix()
        try:
            return make(read(path))
        except ValidationError as error:
            found = faults_of(error)
        except InputError as error:
            found = list(error.faults)
        self.faults += [
            Fault(f"{place}: {fault.path}" if fault.path else place, fault.message) for fault in found
        ]
        return None


class _Table(BaseModel):
    """Tables of files whose outermost words are names."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    profile: Profile = Field(default_factory=dict)
    within: Within = Field(default_factory=dict)
    across: Across = Field(default_factory=dict)
    nodes: dict[str, Node] = Field(default_factory=dict)


def _table(word: str) -> Callable[[Any], Any]:
    return lambda data: getattr(_Table.model_validate({word: data}), word)


def _nodes(data: Any) -> dict[str, Node]:
    kept = {k: v for k, v in data.items() if k != "zone"} if isinstance(data, dict) else data
    found: dict[str, Node] = _table("nodes")(kept)
    return found


def read_folder(folder: Path) -> SailorData:
    """Read a folder of runs.

    Parameters
    ----------
    folder
        Laid out as the data of this package.

    Raises
    ------
    InputError
        With every fault of every file, and its path.
    """
    reader = _Reader(folder)
    runs, nets = _runs(reader)
    shapes = _shapes(reader)
    nodes = reader.parse(reader.find("basic_cluster_config.json"), _nodes) or {}
    within = reader.parse(reader.find("network/intra_node_bandwidths.json"), _table("within")) or {}
    across = reader.parse(reader.find("network/multizone_bandwidths_het.json"), _table("across")) or {}
    wanted = dict.fromkeys((nets[name], kind) for name, run in runs.items() for kind in run.gpus)
    profiles = {}
    for net, kind in wanted:
        path = reader.find(f"profiles/{net}/{kind}/profile.json")
        profiles[net, kind] = reader.parse(path, _table("profile"))
    for net in dict.fromkeys(nets.values()):
        if net not in shapes:
            message = f"no training_config_*.json has model {net!r}; there are: {', '.join(shapes) or 'none'}"
            reader.faults.append(Fault(f"validation/*_{net}", message))
    if reader.faults:
        raise InputError(reader.faults, str(folder))
    return SailorData(runs, nets, profiles, shapes, nodes, within, across, tuple(reader.borrowed))


def _runs(reader: _Reader) -> tuple[dict[str, PlannedRun], dict[str, str]]:
    root = reader.folder / "validation"
    paths = sorted(root.rglob("*.json"), key=_natural)
    if not paths:
        message = f"there is no run (validation/<cluster>_<net>/**/*.json) in {reader.folder}"
        reader.faults.append(Fault("validation", message))
    runs, nets = {}, {}
    for path in paths:
        run = reader.parse(path, PlannedRun.model_validate)
        place = path.relative_to(root).with_suffix("")
        _, _, net = place.parts[0].partition("_")
        if not net or len(place.parts) < 2:
            message = "a run lies in a folder <cluster>_<net>, so that its net is known"
            reader.faults.append(Fault(f"validation/{place}.json", message))
        elif run is not None:
            runs[place.as_posix()], nets[place.as_posix()] = run, net
    return runs, nets


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort N2 before N16."""
    words = "".join(c if c.isdigit() else f" {c} " for c in str(path)).split()
    return [(int(word), "") if word.isascii() and word.isdigit() else (-1, word) for word in words]


def _shapes(reader: _Reader) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for folder in dict.fromkeys((PUBLIC, reader.folder)):
        for path in sorted(folder.glob("training_config_*.json")):
            shape = reader.parse(path, Shape.model_validate)
            if shape is not None:
                found[shape.model] = shape
    return found
