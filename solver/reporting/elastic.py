"""Elastic: what happened to a run whose devices left and came back, as tables and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from solver.reporting.markup import Child, join, tag
from solver.reporting.measured import Measured, numbers
from solver.reporting.page import page, section
from solver.reporting.sections import table
from solver.reporting.svg_loss import loss_figure

FILE = "elastic.json"
_HEADS = (
    "before step",
    "what",
    "noticed after",
    "stopped",
    "plan",
    "found in",
    "moved in",
    "bytes",
    "again after",
)
_COMPARED = ("generation", "policy", "step", "move", "planning counts", "cost to the next change")


def print_elastic(console: Console, data: Mapping[str, Any]) -> None:
    """Print the story of an elastic run.

    Parameters
    ----------
    console
        Where to.
    data
        The run as plain data, as in ``elastic.json``.
    """
    for line in _summary(data):
        console.print(line, markup=False)
    if data["changes"]:
        shown = Table(title="What happened")
        for head in _HEADS:
            shown.add_column(head)
        for row in _rows(data):
            shown.add_row(*row)
        console.print(shown)
        compared = Table(title="Plans that were compared: the first of each was taken")
        for head in _COMPARED:
            compared.add_column(head)
        for row in _compared(data):
            compared.add_row(*row)
        console.print(compared)


def event_words(event: Mapping[str, Any]) -> str:
    """Return for people what an elastic run tells on the way; empty for what they need not know.

    Parameters
    ----------
    event
        As :func:`solver.execution.elastic.run.run_elastic` gives it.
    """
    if "lost" in event:
        return f"{event['lost']} is lost: {event['reason']}"
    if "returned" in event:
        return f"{event['returned']} is back"
    if "checkpoint" in event:
        from solver.execution.run import checkpoint_words

        return checkpoint_words(dict(event))
    if "ending" in event:
        return f"ending {event['ending']}"
    return f"{', '.join(event['devices'])} go on by a plan that is {event['how']}" if "how" in event else ""


def story_tables(data: Mapping[str, Any]) -> Child:
    """Return what happened to devices, and the plans that were compared, for a page; nothing if all stayed.

    Parameters
    ----------
    data
        The run as plain data, as in ``elastic.json``.
    """
    if not data["changes"]:
        return tag("p", "Every device stayed to the end.")
    return join(
        [
            table(_HEADS, _rows(data), "What happened to devices", words=2),
            tag("h3", "Plans that were compared: the first of each was taken"),
            table(_COMPARED, _compared(data), "Plans that were compared", words=2),
        ]
    )


def elastic_page(folder: Path) -> str:
    """Return the page of an elastic run.

    Parameters
    ----------
    folder
        Holds ``elastic.json``.
    """
    data = json.loads((folder / FILE).read_text(encoding="utf-8"))
    heading = "A run whose devices leave and come back"
    lines = [tag("p", line, class_="sub") for line in _summary(data)]
    losses = (
        section("Training", "Loss of every step.", loss_figure(_measured(data))) if data["losses"] else None
    )
    parts = [
        tag("header", tag("h1", heading), lines),
        losses,
        section("What happened", "", story_tables(data)),
    ]
    return page(heading, parts)


def _measured(data: Mapping[str, Any]) -> Measured:
    """Return the losses, and what happened between them."""
    losses, reference = (numbers(data.get(word, ())) for word in ("losses", "reference_losses"))
    return Measured("elastic", losses=losses, reference_losses=reference, changes=changes_of(data))


def changes_of(data: Mapping[str, Any]) -> dict[int, str]:
    """Return what happened to devices before a step, by step, counted from 0.

    Parameters
    ----------
    data
        The run as plain data, as in ``elastic.json``.
    """
    found: dict[int, str] = {}
    for change in data["changes"]:
        words = ", ".join(f"{event['device']} {event['kind']}" for event in change["events"])
        found[change["step"]] = "; ".join(filter(None, (found.get(change["step"]), words)))
    return found


def _summary(data: Mapping[str, Any]) -> list[str]:
    steps = len(data["losses"])
    lines = [f"{steps} steps, last loss {data['losses'][-1]:.6f}" if steps else "no step"]
    difference = data["max_relative_loss_difference"]
    if difference is not None:
        lines.append(
            f"losses are those of the undivided run within {difference:.1e}, "
            f"weights within {data['max_relative_weight_difference']:.1e} (relative)"
        )
    energy = data.get("energy_j", {})
    if energy.get("total"):
        lines.append(
            f"{energy['total']:.4g} J in all, {energy['a_step']:.4g} J a step, whole boards by the powers of "
            f"the cards; {energy['outside_steps']:.4g} J of it outside of whole steps: waiting, noticing, "
            "planning, moving, steps broken off"
        )
    if data["changes"]:
        lines.append(
            f"{data['throughput_kept']:.1%} of the predicted throughput was kept "
            f"({data['detect_s']:.2f} s of noticing not counted)"
        )
        fenced = ", ".join(f"{count} from {name}" for name, count in data["fenced"].items())
        lines.append(f"messages turned away from generations that were over: {fenced or 'none'}")
    return lines


def _rows(data: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for change in data["changes"]:
        noticed = [e["detect_s"] for e in change["events"] if e["detect_s"] is not None]
        lost = change["steps_lost"] + change["in_flight_lost"]
        what = "; ".join(f"{e['device']} {e['kind']}: {e['reason']}" for e in change["events"])
        rows.append(
            (
                str(change["step"] + 1),
                what + (f"; {lost} step repeated" if lost else ""),
                f"{max(noticed):.2f} s" if noticed else "",
                f"{change['stop_s']:.2f} s",
                f"{change['how']}: {change['step_s_before']:.3g} s -> {change['step_s_after']:.3g} s a step",
                f"{change['replan_s']:.2f} s",
                f"{change['move_s']:.2f} s",
                f"{change['moved_bytes']:,}",
                f"{change['resume_s']:.2f} s",
            )
        )
    return rows


def _compared(data: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            str(change["generation"]),
            one["how"],
            f"{one['step_s']:.4g} s",
            f"{one['move_s']:.3g} s",
            f"{one['planning_s']:.3g} s",
            f"{one['cost_s']:.4g} s",
        )
        for change in data["changes"]
        for one in change["candidates"]
    ]
