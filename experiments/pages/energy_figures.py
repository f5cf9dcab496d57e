"""Figures of the energy case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments.frame import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
WAYS = ("single", "data", "sequence", "tensor", "pipeline", "hybrid")
LOOKS = {way: i for i, way in enumerate(WAYS)}
PARTS = ("idle", "compute", "radio")
HATCHES = ("", "////", "xxxx")
NAMES = {
    "bert_base": "BERT-base",
    "gpt2": "GPT-2",
    "vit_b16": "ViT-B/16",
    "t5_base": "T5-base",
    "llama2_7b": "Llama-2-7B, LoRA",
    "nano_x4": "four Nanos",
    "jetson_mixed": "mixed Jetsons",
    "raspberry_pis": "Raspberry Pis",
}


def split_figure(rows: Sequence[Row], models: Sequence[str]) -> Figure:
    """Draw joules per sample split into idle, compute and radio: models beside each other, a bar a way.

    Parameters
    ----------
    rows
        Of one cluster, mode, rate and objective.
    models
        Which, from the left.
    """
    with plots.style():
        figure, every = plots.panels(1, len(models), width_in=plots.PAGE_IN, height_in=2.2)
        for axes, model in zip(every, models, strict=True):
            found = {row["way"]: _parts(row) for row in rows if row["model"] == model}
            bars = {way: [found[way]] for way in WAYS}
            plots.bars(axes, [NAMES.get(model, model)], bars, y_label="", hatches=HATCHES)
            if not any(found.values()):
                axes.set_yticks([])
        every[0].set_ylabel("energy, J per sample")
        plots.bar_legend(figure, WAYS, PARTS, HATCHES)
    return figure


def _parts(row: Row) -> dict[str, float] | None:
    return {part: row[f"{part}_j_per_sample"] for part in PARTS} if row["fits"] else None


def rate_figure(rows: Sequence[Row], models: Sequence[str], clusters: Sequence[str]) -> Figure:
    """Draw joules per sample over the link rate: a row a cluster, a column a model, a line a way.

    Parameters
    ----------
    rows
        Of one power mode and objective.
    models, clusters
        Which, in order.
    """
    rates = sorted({row["mbit_per_s"] for row in rows})
    with plots.style():
        height_in = 0.5 + 1.55 * len(clusters)
        shape = (len(clusters), len(models))
        figure, every = plots.panels(*shape, width_in=plots.PAGE_IN, height_in=height_in, sharex=True)
        places = [(cluster, model) for cluster in clusters for model in models]
        for axes, (cluster, model) in zip(every, places, strict=True):
            series = _over_rates(rows, rates, cluster, model)
            first = model == models[0]
            label = f"{NAMES.get(cluster, cluster)}\nJ per sample" if first else ""
            last = cluster == clusters[-1]
            plots.lines(
                axes,
                rates,
                series,
                x_label="Mbit/s" if last else "",
                y_label=label,
                log_y=bool(series),
                looks=LOOKS,
            )
            if not series:
                axes.text(0.5, 0.5, "nothing fits", transform=axes.transAxes, ha="center", color=plots.SOFT)
                axes.set_yticks([])
            axes.set_xticks(rates, [f"{rate}" if i % 2 == 0 else "" for i, rate in enumerate(rates)])
            if cluster == clusters[0]:
                axes.set_title(NAMES.get(model, model))
        plots.line_legend(figure, WAYS, LOOKS)
    return figure


def _over_rates(
    rows: Iterable[Row], rates: Sequence[int], cluster: str, model: str
) -> dict[str, list[float | None]]:
    found = {
        (row["way"], row["mbit_per_s"]): row["energy_j_per_sample"]
        for row in rows
        if row["fits"] and row["cluster"] == cluster and row["model"] == model
    }
    series = {way: [found.get((way, rate)) for rate in rates] for way in WAYS}
    return {way: values for way, values in series.items() if any(value is not None for value in values)}


def batch_figure(rows: Sequence[Row]) -> Figure:
    """Draw joules per sample over the batch of the four conventional ways.

    Parameters
    ----------
    rows
        Of :func:`experiments.cases.energy_slice.batch_rows`.
    """
    batches = sorted({row["batch"] for row in rows})
    found = {(row["way"], row["batch"]): row["energy_j_per_sample"] for row in rows}
    ways = [way for way in WAYS if (way, batches[0]) in found]
    series = {way: [found[way, batch] for batch in batches] for way in ways}
    with plots.style():
        figure, (axes,) = plots.panels()
        words = {"x_label": "samples of a step", "y_label": "energy, J per sample"}
        plots.lines(axes, batches, series, log_y=True, looks=LOOKS, **words)
        plots.line_legend(figure, ways, LOOKS)
    return figure


def slice_figure(rows: Sequence[Row]) -> Figure:
    """Draw predicted and measured step time and energy of the ways that were run.

    Parameters
    ----------
    rows
        Of :func:`experiments.cases.energy_slice.slice_rows`.
    """
    with plots.style():
        figure, every = plots.panels(1, 2, width_in=plots.PAGE_IN, height_in=2.0)
        for axes, (word, label) in zip(every, (("step_s", "step, s"), ("energy_j", "J a step")), strict=True):
            stacks = {
                kind: [{kind: row[f"{kind}_{word}"]} for row in rows] for kind in ("predicted", "measured")
            }
            plots.bars(axes, [row["plan"] for row in rows], stacks, y_label=label)
        plots.bar_legend(figure, ("predicted", "measured"))
    return figure


def median_error(rows: Iterable[Row], word: str) -> float:
    """Return the median absolute error of measured rows, as a part."""
    return median(abs(row[f"measured_{word}_error"]) for row in rows)
