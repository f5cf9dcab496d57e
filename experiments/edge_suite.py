"""The 60 problems of the suite `edge`, drawn anew from their seeds: the same bytes every time.

Each regime of links has 15: every combination of workload (card of the catalogue, drawn chain), boards (of
the catalogue, drawn) and memory (tight, loose) once with 4 to 6 devices, and all but one once more with 7 to
16. Cards and lengths of chains are dealt from shuffled decks, so that each is there about as often as the
others; 16 devices get the longest chain.

No solver has a say. Memory is set by a certificate: the smallest factor on all memories with which some chain
of single devices fits (:func:`solver.search.chains.least_memory.least_memory`, exact for such chains, default
in-flight rule). Tight is 10 to 30 % above it; loose is at least twice it: drawn boards 3 to 12 times, boards
of the catalogue as they are. Tight boards of the catalogue have the same part of their memory left each.
Boards that cannot be made so are drawn again. The chain of the certificate is written down: it fits.

The frozen instances lie in models/formats/instances/edge; they are never drawn again for the suite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.cases.edge_clusters import (
    REGIMES,
    catalogue_boards,
    cluster,
    drawn_boards,
    network,
    with_memory,
)
from experiments.cases.edge_workloads import CARDS, LENGTHS, Asked, between, real, synthetic
from models.cluster import Device
from models.document import dump_json, write_text
from solver.problem import Problem
from solver.search.chains.chain import ChainTables
from solver.search.chains.least_memory import LeastMemory, least_memory

SEED = 20240417
COMBINATIONS = 8
MISSING = (0, 7, 3, 4)
"""Combination that a regime does not repeat: over all regimes every choice is made 30 times."""
LARGE = (7, 8, 8, 8, 10, 12, 16)


class Slot(NamedTuple):
    """What is asked of one problem before anything is drawn."""

    regime: str
    number: int
    real: bool
    catalogue: bool
    tight: bool
    num_devices: int | None
    deal: int

    @property
    def rng(self) -> np.random.Generator:
        """Random numbers of this problem alone."""
        return np.random.default_rng([SEED, REGIMES.index(self.regime), self.number])


def slots() -> list[Slot]:
    """Return the plan of the suite."""
    found = []
    for r, regime in enumerate(REGIMES):
        again = [k for k in range(COMBINATIONS) if k != MISSING[r]]
        for number, k in enumerate([*range(COMBINATIONS), *again]):
            late = number - COMBINATIONS
            num = None if late < 0 else LARGE[(late + 2 * r + 1) % len(LARGE)]
            deal = sum(slot.real == (not k & 1) for slot in found)
            found.append(Slot(regime, number + 1, not k & 1, not k & 2, not k & 4, num, deal))
    return found


def problem_files(slot: Slot) -> tuple[str, dict[str, str]]:
    """Return the name of a problem, and its files: name to text.

    Parameters
    ----------
    slot
        What is asked.
    """
    rng = slot.rng
    num = slot.num_devices or int(rng.integers(4, 7))
    asked = real(rng, str(_dealt(CARDS, slot))) if slot.real else synthetic(rng, _length(slot))
    boards, least = _boards(rng, slot, asked, num)
    links = network(rng, [board.name for board in boards], slot.regime)
    name = f"{slot.regime}_{slot.number:02d}_{asked.workload.name}_on_{num}"
    whole = cluster(name, boards, links)
    files = {"cluster.json": _text(whole)}
    reference = asked.workload.name
    if not slot.real:
        files["workload.json"], reference = _text(asked.workload), "workload.json"
    problem = {
        "version": 1,
        "name": name,
        "regime": slot.regime,
        "memory": "tight" if slot.tight else "loose",
        "boards": "catalogue" if slot.catalogue else "drawn",
        "workload": {"name": reference, "sha256": asked.workload.digest},
        "cluster": {"name": "cluster.json", "sha256": whole.digest},
        "job": asked.job.model_dump(mode="json", exclude_defaults=True),
        "num_micro_batches": asked.num_micro_batches,
        "fits": [{"device": v, "first": h, "end": i} for v, h, i in least.stages],
    }
    files["problem.json"] = dump_json(problem)
    return name, files


def _text(document: Any) -> str:
    return dump_json(document.model_dump(mode="json", exclude_defaults=True))


def _dealt(deck: tuple[Any, ...], slot: Slot) -> Any:
    """Return the card of a shuffled deck that a slot gets; the deck is shuffled anew when it is used up."""
    turn, place = divmod(slot.deal, len(deck))
    return deck[np.random.default_rng([SEED, len(REGIMES), turn]).permutation(len(deck))[place]]


def _length(slot: Slot) -> int:
    return LENGTHS[-1] if slot.num_devices == max(LARGE) else int(_dealt(LENGTHS, slot))


def _boards(rng: np.random.Generator, slot: Slot, asked: Asked, num: int) -> tuple[list[Device], LeastMemory]:
    """Draw boards until their memory can be made tight, or is loose."""
    draw = catalogue_boards if slot.catalogue else drawn_boards
    while True:
        boards = draw(rng, num, asked.job.precision)
        links = network(np.random.default_rng(0), [board.name for board in boards], "gigabit")
        problem = Problem(
            asked.workload,
            cluster("boards", boards, links),
            asked.job,
            num_micro_batches=asked.num_micro_batches,
        )
        least = least_memory(ChainTables(problem, asked.num_micro_batches))
        factor = least.factor * (between(rng, 1.1, 1.3) if slot.tight else between(rng, 3, 12))
        if not slot.catalogue:
            return with_memory(boards, factor), least
        if slot.tight and factor <= 1:
            return with_memory(boards, factor), least
        if not slot.tight and 2 * least.factor <= 1:
            return boards, least


def run(out: Path, *, quick: bool) -> None:
    """Write a folder for each problem; quick: the first of each regime.

    Parameters
    ----------
    out
        Where the folders are made.
    quick
        Whether four problems are enough.
    """
    for slot in slots():
        if quick and slot.number > 1:
            continue
        name, files = problem_files(slot)
        for file, text in files.items():
            write_text(out / name / file, text)
