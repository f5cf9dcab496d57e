"""Reader of time series files (.ts): one case a line, dimensions separated by colons, the label last."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.errors import Fault, InputError


class Series(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    series
        (num_cases, num_dimensions, length).
    labels
        Label of each case.
    """

    series: np.ndarray
    labels: tuple[str, ...]


def read_ts(path: Path) -> Series:
    """Read a file of labelled cases of equal length.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If it cannot be read, or a case has another shape than the first; every such line is listed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    cases: list[list[list[float]]] = []
    labels: list[str] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(("#", "@")):
            continue
        *dimensions, label = line.strip().split(":")
        try:
            case = [[float(value) for value in dimension.split(",")] for dimension in dimensions]
        except ValueError as error:
            faults.append(Fault(f"line {number}", str(error)))
            continue
        shape = [len(dimension) for dimension in case]
        wanted = [len(dimension) for dimension in cases[0]] if cases else shape
        if not case or shape != wanted or len(set(shape)) != 1:
            faults.append(Fault(f"line {number}", f"lengths of the dimensions are {shape}, needed {wanted}"))
            continue
        cases.append(case)
        labels.append(label)
    if not cases and not faults:
        faults.append(Fault("", "the file has no cases"))
    if faults:
        raise InputError(faults, str(path))
    return Series(np.array(cases), tuple(labels))
