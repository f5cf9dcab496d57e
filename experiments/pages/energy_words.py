"""What the README of the energy case says, from its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from experiments.frame.study import Study
from experiments.frame.tables import columns_of, markdown, number
from experiments.pages import energy_orderings as orderings
from experiments.pages.energy_figures import NAMES, median_error

Row = Mapping[str, Any]
WAYS = ("single", "data", "sequence", "tensor", "pipeline", "hybrid")
SLOW_MBIT = 100

ASKED = """How much time and energy does one sample take when a model is trained on one board, by each
of the four conventional parallelisms, or by the best hybrid pipeline, and what does not fit? Batch
{batch} and AdamW in fp32; Llama-2-7B trains adapters of rank 8 in fp16. Boards stand behind a switch.
Data, sequence, tensor and pipeline use every board, with shares that follow the boards' speed; each
takes its best micro-batch count. The pipeline is the better of the one cut by operations and the one
cut by time. `single` and `hybrid` may leave boards out, which then idle and are counted
(`participants_j_per_sample` in `rows.csv` leaves them out). Energy is whole-board and modelled from the
cards. The paper's own joules are not known to us, only its orderings, so there is no column of them."""

NEVER_WORSE = """`hybrid` is the plan of `best` under a work limit, begun from the best of all the
others: the five ways and {planners}, each under the same evaluator. It is never worse than any of them
in time under `time` and in energy under `energy`, in {cases} of {cases} cases; a worse one would have
ended the experiment. It takes {time:.1f} % less time than the best of them (median; at most
{most_time:.0f} %) and {energy:.1f} % less energy (at most {most_energy:.0f} %)."""

ORDERINGS = """Paper: data and pipeline take less energy than sequence and tensor. Here, cases in which
both fit, by link rate, with the median ratio of the two energies in brackets:"""

WHY = """- **Pipeline below sequence and tensor**, and **data below sequence**, hold in every case up to
  {slow} Mbit/s (asserted). A pipeline sends an activation once each way per cut; sequence parallelism
  sends keys and values in every layer *and* reduces the gradients of a whole replica, so it cannot be
  below data parallelism on a slow link.
- **Data below tensor** is a question of the batch, not of the parallelism. Data parallelism sends
  2(N-1)/N of the weights a step and device, whatever the batch; tensor parallelism sends 8(N-1)/N of
  the activations of every layer. With W weights, width h and L layers, tensor sends more from W / (4 h
  L) tokens a step on: {tokens:.0f} for BERT-base, {crossing:.1f} samples of 128 tokens. The sweep below
  shows the lines cross there; at batch {batch} tensor is the cheaper one for models of short sequences.
  We do not know the paper's batch and sequence length.
- **Bytes decide on slow links**: up to {slow} Mbit/s, of two conventional ways on the same boards the
  one that sends fewer bytes takes less energy in {agree} of {pairs} pairs. It is not the radio that
  costs: at {slow} Mbit/s, {idle:.0f} % of the energy of tensor parallelism is the idle power of boards
  that wait, {radio:.0f} % is radio (medians)."""

SINGLE = """Paper: collaboration trains faster at an energy "comparable" to one board. Best
collaborative plan for energy against the board that `single` takes, counting only boards that take part
(so that its idle neighbours are free):"""

FITS = """Paper: some models can be trained by one parallelism and not by another. Ordered by the bytes
of weights, gradients and optimizer states, and how much too many bytes the fullest board of the nearest
plan needs. Where data parallelism fits, tensor, pipeline and hybrid fit as well (asserted): as models
grow it is the first to fail, with sequence parallelism, which holds a replica too and saves activations
only. `no`: proven that no hybrid pipeline fits."""

COMPARABLE = """From {slow} Mbit/s on: {lines}. So "comparable" holds among boards of like speed. Where one
board is far faster than the others, as the AGX Orin among the mixed Jetsons, the plan of least energy is
mostly that board alone, and every collaboration costs more than it: the others' idle power is paid for
little work."""

MODES = """In the mode of least power the boards are slower and draw less. Median over models and rates
of the hybrid, lowest mode against own mode, under `energy`. A ratio of energies above 1 means that idle
power, paid for longer, outweighs what the slower clock saves:"""

REAL = """`vit_digits` on the Raspberry Pis at 1000 Mbit/s, batch 32, run by real processes in padded
mode: operations and messages are done, then wait until the board would be done. Median of the steps;
energy from the measured intervals and the powers of the cards. Median error: step time {step:.2f} %,
energy {energy:.2f} %."""


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
    own = [row for row in energy if row["modes"] == "own"]
    errors = {word: 100 * median_error(real, word) for word in ("step", "energy")}
    study.readme(
        ASKED.format(batch=rows[0]["batch"]),
        f"## Energy at {SLOW_MBIT} Mbit/s, J per sample\n",
        markdown(_pivot([row for row in own if row["mbit_per_s"] == SLOW_MBIT])),
        "`-` does not fit. ![Energy over the link rate](rates.png)",
        f"{NAMES[rows[0]['cluster']]}, split: ![Idle, compute and radio](split.png)",
        "## Never worse",
        _never_worse(rows),
        "## Orderings, theirs and ours",
        ORDERINGS,
        markdown(_counts(energy)),
        _why(energy),
        f"Four Nanos, BERT-base, {SLOW_MBIT} Mbit/s, J per sample over the batch:",
        markdown(_by_batch(swept)),
        "## Against one board",
        SINGLE,
        markdown(orderings.against_single(own), _SINGLE_HEADS),
        _comparable(orderings.against_single(own)),
        "## What fits",
        FITS,
        markdown(fitting, {**_heads(fitting), "whole_gb": "weights and states, GB"}),
        "## Power modes",
        MODES,
        markdown(_modes(energy)) if any(row["modes"] == "lowest" for row in energy) else "Not in this form.",
        "## Measured slice",
        REAL.format(**errors),
        markdown(real, _REAL_HEADS),
    )


_SINGLE_HEADS = {
    "cluster": "boards",
    "mbit_per_s": "Mbit/s",
    "cases": "models",
    "energy_ratio": "energy, median",
    "least": "least",
    "most": "most",
    "time_ratio": "time, median",
}
_REAL_HEADS = {
    "plan": "way",
    "predicted_step_s": "predicted step, s",
    "measured_step_s": "measured step, s",
    "predicted_energy_j": "predicted energy, J",
    "measured_energy_j": "measured energy, J",
}


def _heads(rows: Sequence[Row]) -> dict[str, str]:
    return {name: name for name in columns_of(rows)}


def _pivot(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a line a model on boards, a column a way."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["cluster"], row["model"]
        names = {"boards": NAMES[key[0]], "model": NAMES.get(key[1], key[1])}
        found.setdefault(key, names)[row["way"]] = row.get("energy_j_per_sample")
    return list(found.values())


def _never_worse(rows: Sequence[Row]) -> str:
    saved: dict[str, list[float]] = {"time": [], "energy": []}
    for row in rows:
        if row.get("saved_of_best_other") is not None:
            saved[row["objective"]].append(100 * row["saved_of_best_other"])
    planners = "`eddl`, `hetpipe`, `pipedream`, `dapple`, `asteroid`, `asteroid_subsets`, `gpipe`, `galaxy`"
    figures = {word: median(values) for word, values in saved.items()}
    most = {f"most_{word}": max(values) for word, values in saved.items()}
    cases = sum(len(values) for values in saved.values())
    return NEVER_WORSE.format(planners=planners, cases=cases, **figures, **most)


def _counts(energy: Sequence[Row]) -> list[dict[str, Any]]:
    table = []
    for line in orderings.energy_order(energy):
        rates = [name for name in line if name.isdigit()]
        texts = {f"{rate} Mbit/s": f"{line[rate]} ({number(line[f'ratio_{rate}'], 2)})" for rate in rates}
        table.append({"paper's ordering": line["expected"], **texts})
    return table


def _why(energy: Sequence[Row]) -> str:
    agree, pairs = orderings.bytes_decide(energy, SLOW_MBIT)
    tensor = [
        row for row in energy if row["way"] == "tensor" and row["fits"] and row["mbit_per_s"] == SLOW_MBIT
    ]
    tokens = 109_482_240 / (4 * 768 * 12)
    return WHY.format(
        slow=SLOW_MBIT,
        batch=energy[0]["batch"],
        tokens=tokens,
        crossing=tokens / 128,
        agree=agree,
        pairs=pairs,
        idle=100 * _part(tensor, "idle"),
        radio=100 * _part(tensor, "radio"),
    )


def _comparable(table: Sequence[Row]) -> str:
    lines = []
    for cluster in dict.fromkeys(line["cluster"] for line in table):
        fast = [line for line in table if line["cluster"] == cluster and line["mbit_per_s"] >= SLOW_MBIT]
        least, most = min(line["least"] for line in fast), max(line["most"] for line in fast)
        times = [line["time_ratio"] for line in fast]
        energy = f"{number(least)} to {number(most)} times the energy"
        lines.append(
            f"{NAMES[cluster]}, {energy} in {number(min(times))} to {number(max(times))} of the time"
        )
    return COMPARABLE.format(slow=SLOW_MBIT, lines="; ".join(lines))


def _part(rows: Iterable[Row], part: str) -> float:
    return median(row[f"{part}_j_per_sample"] / row["energy_j_per_sample"] for row in rows)


def _by_batch(swept: Iterable[Row]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in swept:
        found.setdefault(row["batch"], {"batch": row["batch"]})[row["way"]] = row["energy_j_per_sample"]
    return list(found.values())


def _modes(energy: Iterable[Row]) -> list[dict[str, Any]]:
    figures: dict[tuple[Any, ...], Row] = {}
    for row in energy:
        if row["way"] == "hybrid" and row["fits"]:
            figures[row["cluster"], row["modes"], row["model"], row["mbit_per_s"]] = row
    pairs: dict[str, list[tuple[Row, Row]]] = {}
    for (cluster, modes, *rest), row in figures.items():
        own = figures.get((cluster, "own", *rest))
        if modes == "lowest" and own is not None:
            pairs.setdefault(cluster, []).append((row, own))
    return [
        {
            "boards": NAMES[cluster],
            "cases": len(found),
            "time, ratio": _ratio(found, lambda row: float(row["time_s_per_sample"])),
            "energy, ratio": _ratio(found, lambda row: float(row["energy_j_per_sample"])),
        }
        for cluster, found in pairs.items()
    ]


def _ratio(pairs: Iterable[tuple[Row, Row]], of: Callable[[Row], float]) -> float:
    return median(of(low) / of(own) for low, own in pairs)
