"""Constants of the model of Sailor's runs: four, each with a physical meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from models.document import Document, read, validate
from solver.validation.findings import Constant

PATH = Path(__file__).parent / "constants.json"
"""Those that ship: fitted on the runs of this package by ``partage validate --suite sailor --fit FILE``."""

UNITS_AND_MEANINGS = {
    "link_cost": (
        "",
        "time of bytes between nodes, as a multiple of what the published bandwidth curves say: training "
        "shares its network cards, and its collectives reach less than the benchmark's",
    ),
    "message_s": ("s", "what a message between stages costs beside its way: both ends stop for it"),
    "held_bytes": (
        "B",
        "memory of a GPU that is neither weights nor activations: CUDA context, NCCL's buffers, and what the "
        "allocator holds back",
    ),
    "activation_part": (
        "",
        "activations in memory, as a multiple of the published formula: what kernels need for a moment, and "
        "fragments",
    ),
}


class Constants(Document):
    """What the published profiles and curves do not say; see :data:`UNITS_AND_MEANINGS`.

    Parameters
    ----------
    link_cost
        Factor on the time of bytes between nodes.
    message_s
        Time that a message between stages costs beside its way.
    held_bytes
        Memory of a GPU that is neither weights nor activations.
    activation_part
        Factor on the bytes kept for the backward pass.
    """

    link_cost: Annotated[float, Field(gt=0)] = 1.0
    message_s: Annotated[float, Field(ge=0)] = 0.0
    held_bytes: Annotated[float, Field(ge=0)] = 0.0
    activation_part: Annotated[float, Field(ge=0)] = 1.0

    def described(self) -> tuple[Constant, ...]:
        """Return the constants with their units and meanings."""
        return tuple(
            Constant(name, getattr(self, name), unit, meaning)
            for name, (unit, meaning) in UNITS_AND_MEANINGS.items()
        )


class Shipped(Document):
    """The file of the constants: their values, and on what they were fitted."""

    origin: str
    constants: Constants


def shipped() -> Shipped:
    """Return the constants that ship with the package."""
    return validate(Shipped, read(PATH), str(PATH))
