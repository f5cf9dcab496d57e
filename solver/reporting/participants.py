"""Participants: who takes part, what other rules choose, and what each device changes, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from solver.participation.document import Figures, Participants
from solver.problem import OBJECTIVES
from solver.reporting import units

if TYPE_CHECKING:
    from rich.console import Console


def print_participants(console: Console, made: Participants) -> None:
    """Print the choice.

    Parameters
    ----------
    console
        Where to.
    made
        Who takes part.
    """
    from rich.table import Table

    what = OBJECTIVES[made.objective][0]
    console.print(f"{', '.join(made.chosen)} take part (rule {made.rule}, least {what})")
    console.print(
        f"{made.num_groups} groups planned for by {made.solver}, {made.work_limit} units of work each; "
        f"left-out devices are {made.left_out}"
    )
    if len(made.rules) > 1:
        table = Table(title="what each rule chooses, every one of them taking part")
        for word in ("rule", "take part"):
            table.add_column(word)
        for word in ("step time", "energy of a step", "against the chosen"):
            table.add_column(word, justify="right")
        for row in made.rules:
            names = ", ".join(row.chosen) or "-"
            table.add_row(row.rule, names, *_cells(row.figures, made.figures))
        console.print(table)
    table = Table(title="what each device changes")
    for word in ("device", "change"):
        table.add_column(word)
    for word in ("step time", "energy of a step", "against the chosen"):
        table.add_column(word, justify="right")
    for one in made.changes:
        change = "leaves" if one.takes_part else "takes part too"
        nobody = one.takes_part and len(made.chosen) == 1
        cells = ("nobody is left", "", "") if nobody else _cells(one.figures, made.figures)
        table.add_row(one.device, change, *cells)
    console.print(table)
    for kind in made.equal:
        console.print(f"{', '.join(kind)} are equal: any of them does as well")


def _cells(figures: Figures | None, best: Figures) -> tuple[str, str, str]:
    if figures is None:
        return "no plan", "", ""
    loss = figures.score / best.score - 1 if best.score else 0.0
    return units.seconds(figures.step_time_s), units.energy(figures.energy_j), f"{100 * loss:+.1f} %"
