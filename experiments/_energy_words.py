"""What the README of the energy case says, from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import _energy_orderings as orderings
from experiments._study import Study
from experiments._tables import markdown

Row = Mapping[str, Any]


def write_words(
    study: Study, rows: Sequence[Row], fitting: Sequence[Row], swept: Sequence[Row], real: Sequence[Row]
) -> None:
    """Write the README.

    Parameters
    ----------
    study
        The experiment.
    rows, fitting, swept, real
        Its rows: of all cases, of what fits, of the batch sweep, of the slice that was run.
    """
    energy = [row for row in rows if row["objective"] == "energy"]
    study.readme(
        markdown(orderings.energy_order(energy)),
        markdown(orderings.against_single(energy)),
        markdown(fitting),
        str(orderings.data_fails_first(fitting)),
        "## Measured slice",
        markdown(real),
    )
