"""Measured runs of vTrain: ``ground_truth_<x>.csv``, times of training iterations of GPT on A100.

Source: github.com/VIA-Research/vTrain (Bang et al., "vTrain: a simulation framework for evaluating
cost-effective and compute-optimal large language model training", MICRO 2024, arXiv 2312.12391). The header
has the columns of :data:`COLUMNS` and ``iteration time (ms)``, in any order; other columns are not read. The
time may be left empty, or out, where runs are to be predicted that nobody has measured.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import Fault, InputError

FOLDER = Path(__file__).parent / "instances" / "vtrain"
"""The runs the authors published."""

COLUMNS = {
    "# GPUs": "gpus",
    "global batch": "global_batch",
    "micro batch": "micro_batch",
    "hidden size": "hidden",
    "attention heads": "heads",
    "# layers": "layers",
    "sequence length": "sequence",
    "tensor parallelism": "tensor",
    "data parallelism": "data",
    "pipeline parallelism": "pipeline",
}
"""Columns of whole numbers: header to field."""

TIME = "iteration time (ms)"


@dataclass(frozen=True)
class GptRun:
    """One run of GPT.

    Parameters
    ----------
    name
        File and row, as ``single/1`` for the first row after the header of ``ground_truth_single.csv``.
    gpus
        How many took part.
    global_batch, micro_batch
        Sequences of an iteration, and of a micro-batch on one replica.
    hidden, heads, layers, sequence
        Shape of the net; ``sequence`` in tokens.
    tensor, data, pipeline
        Degrees of parallelism.
    iteration_s
        Measured; ``None`` if it was not.
    """

    name: str
    gpus: int
    global_batch: int
    micro_batch: int
    hidden: int
    heads: int
    layers: int
    sequence: int
    tensor: int
    data: int
    pipeline: int
    iteration_s: float | None = None

    @property
    def num_micro_batches(self) -> int:
        """Micro-batches of one replica in an iteration."""
        return self.global_batch // (self.micro_batch * self.data)


def read_folder(folder: Path) -> tuple[GptRun, ...]:
    """Read every ``ground_truth_<x>.csv`` of a folder, in the order of their names.

    Parameters
    ----------
    folder
        Where they lie.

    Raises
    ------
    InputError
        With every fault of every file, and if there is no such file.
    """
    files = sorted(folder.glob("ground_truth_*.csv"))
    if not files:
        message = f"no ground_truth_<x>.csv lies in {folder}; give a folder with runs in vTrain's format"
        raise InputError([Fault("", message)], str(folder))
    runs: list[GptRun] = []
    faults: list[Fault] = []
    for file in files:
        try:
            runs += read(file)
        except InputError as error:
            faults += [Fault(f"{file.name} {fault.path}".strip(), fault.message) for fault in error.faults]
    if not runs and not faults:
        faults.append(
            Fault("", f"{', '.join(file.name for file in files)}: there is no row after the header")
        )
    if faults:
        raise InputError(faults, str(folder))
    return tuple(runs)


def read(path: Path) -> tuple[GptRun, ...]:
    """Read one file.

    Parameters
    ----------
    path
        A file named ``ground_truth_<x>.csv``.

    Raises
    ------
    InputError
        With every fault and its line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    header = {word.strip() for word in table.fieldnames or ()}
    missing = [word for word in COLUMNS if word not in header]
    if missing:
        message = f"the header lacks {', '.join(map(repr, missing))}"
        raise InputError([Fault("line 1", message)], str(path))
    prefix = path.stem.removeprefix("ground_truth_")
    runs: list[GptRun] = []
    faults: list[Fault] = []
    for number, cells in enumerate(table, start=1):
        given = {str(word).strip(): str(cell or "").strip() for word, cell in cells.items() if word}
        found = list(_faults(given))
        faults += [Fault(f"line {table.line_num}", message) for message in found]
        if not found:
            runs.append(_run(f"{prefix}/{number}", given))
    if faults:
        raise InputError(faults, str(path))
    return tuple(runs)


def _faults(given: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with a row."""
    sound = True
    for word in COLUMNS:
        if not (given.get(word, "").isdecimal() and int(given[word]) > 0):
            sound = False
            yield f"{word} must be a whole number above 0; given: {given.get(word, '')!r}"
    time_ms = given.get(TIME, "")
    if time_ms and not _is_positive(time_ms):
        yield f"{TIME} must be a number above 0, or empty; given: {time_ms!r}"
    if not sound:
        return
    run = _run("", {**given, TIME: ""})
    ways = run.tensor * run.data * run.pipeline
    if ways != run.gpus:
        degrees = f"{run.tensor} x {run.data} x {run.pipeline}"
        yield f"tensor x data x pipeline must be the number of GPUs: {degrees} = {ways}, given {run.gpus}"
    if run.global_batch % (run.micro_batch * run.data):
        each = f"{run.micro_batch} x {run.data}"
        yield f"the global batch of {run.global_batch} is no multiple of micro batch x data = {each}"
    if run.heads % run.tensor or run.hidden % run.heads:
        yield f"hidden size {run.hidden} and {run.heads} heads cannot be cut evenly into {run.tensor} parts"
    if run.layers < run.pipeline:
        yield f"{run.layers} layers are too few for {run.pipeline} stages"


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _run(name: str, given: Mapping[str, str]) -> GptRun:
    numbers = {field: int(given[word]) for word, field in COLUMNS.items()}
    time_ms = given.get(TIME, "")
    return GptRun(name, **numbers, iteration_s=float(time_ms) / 1e3 if time_ms else None)
