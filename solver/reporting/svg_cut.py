"""SVG of the cut, one figure per pipeline: the model from left to right, split among the devices."""

from __future__ import annotations

from models.workload import Workload
from solver.plan import Plan, Stage
from solver.reporting.cut import cells, parts, stage_words
from solver.reporting.markup import Child, Markup, join, tag
from solver.reporting.palette import Palette
from solver.reporting.svg_chain import chain_figure
from solver.reporting.svg_dag import dag_figure

MOST_CELLS = 600
"""Blocks drawn in all figures together, at most."""


def cut_figures(plan: Plan, workload: Workload, palette: Palette) -> Markup:
    """Return one figure per pipeline: width is work (flop), height is the share of a device.

    Parameters
    ----------
    plan, workload, palette
        What is drawn.
    """
    drawn: list[Child] = []
    room = max(1, MOST_CELLS // len(workload.blocks))
    for p, pipeline in enumerate(plan.pipelines[:room]):
        name = "The cut" if len(plan.pipelines) == 1 else f"The cut of pipeline {p}"
        caption = f"{pipeline.num_micro_batches} micro-batches of {pipeline.samples} samples"
        if len(plan.pipelines) > 1:
            drawn.append(tag("h3", f"Pipeline {p}: {caption}"))
        told = "; ".join(_told(s, stage) for s, stage in enumerate(pipeline.stages))
        found = list(cells(plan, pipeline, workload).values())
        stages = pipeline.stages
        in_order = [cell.stage for cell in found] == sorted(cell.stage for cell in found)
        if workload.is_chain and in_order:
            slim = p + 1 < min(room, len(plan.pipelines))
            drawn.append(chain_figure(name, told, found, stages, palette, slim=slim))
        else:
            drawn.append(dag_figure(name, told, found, stages, workload, palette))
            drawn.append(_stage_list(stages, palette))
    if len(plan.pipelines) > room:
        rest = len(plan.pipelines) - room
        drawn.append(tag("p", f"{rest} more pipelines are in the plan and not drawn.", class_="note"))
    return join(drawn)


def _stage_list(stages: tuple[Stage, ...], palette: Palette) -> Markup:
    """Say which devices the stages of a DAG are on, where no heading above the blocks can."""
    items = []
    for number, stage in enumerate(stages):
        own = parts(stage)
        names = [
            tag(
                "span",
                palette.swatch(part.device),
                part.device,
                f" {part.words}" * (len(own) > 1),
                class_="part",
            )
            for part in own
        ]
        heading = f"stage {number}" + (f" ({words})" if (words := stage_words(stage)) else "") + ": "
        items.append(tag("li", tag("b", heading), names))
    return tag("ul", items, class_="stages")


def _told(number: int, stage: Stage) -> str:
    shares = ", ".join(f"{part.device} {part.words}" for part in parts(stage))
    return f"stage {number}: {len(stage.blocks)} blocks on {shares}"
