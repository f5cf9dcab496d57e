"""Elastic: what happened to a run whose devices left and came back, as tables and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from solver.reporting.markup import Child, join, tag

FILE = "elastic.json"
_HEADS = ("step", "what", "noticed after", "stopped", "plan", "found in", "moved in", "bytes", "again after")
_COMPARED = ("generation", "policy", "step", "move", "planning counts", "cost to the next change")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;border-bottom:1px solid #ccc;"
    "text-align:left}svg{width:100%;height:auto}"
)


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
            _table(_HEADS, _rows(data)),
            tag("h3", "Plans that were compared"),
            _table(_COMPARED, _compared(data)),
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
    body = join(
        [
            tag("h1", "A run whose devices leave and come back"),
            *(tag("p", line) for line in _summary(data)),
            tag("h2", "Losses"),
            _curve(data),
            tag("h2", "What happened"),
            _table(_HEADS, _rows(data)),
            tag("h2", "Plans that were compared"),
            _table(_COMPARED, _compared(data)),
        ]
    )
    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Elastic run"), tag("style", _STYLE))
    return "<!doctype html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"


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
    if energy.get("steps"):
        lines.append(
            f"{energy['from_intervals']:.4g} J a step, whole boards: powers of the cards over the times of "
            f"{len(energy['steps'])} steps since step {energy['first_step']}"
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
                str(change["step"]),
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


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Child:
    return tag(
        "table",
        tag("thead", tag("tr", [tag("th", head) for head in heads])),
        tag("tbody", [tag("tr", [tag("td", cell) for cell in row]) for row in rows]),
    )


def _curve(data: Mapping[str, Any]) -> Child:
    """Return the losses; a line stands where a generation began."""
    losses = [loss for loss in data["losses"] if loss is not None]
    if len(losses) < 2:
        return None
    low, high = min(losses), max(losses)
    scale = 200 / ((high - low) or 1.0)
    width = 900 / (len(losses) - 1)
    points = " ".join(
        f"{10 + width * i:.1f},{210 - scale * (loss - low):.1f}" for i, loss in enumerate(losses)
    )
    marks = [10 + width * change["step"] for change in data["changes"]]
    return tag(
        "svg",
        tag("title", f"Loss from {losses[0]:.4f} to {losses[-1]:.4f}; lines: a new generation begins"),
        [tag("line", x1=x, x2=x, y1=5.0, y2=215.0, stroke="#c60") for x in marks],
        tag("polyline", points=points, fill="none", stroke="#246", stroke_width=2.0),
        viewBox="0 0 920 220",
        role="img",
    )
