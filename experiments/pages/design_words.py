"""What parallelism design says, in words that the data must bear out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from experiments.cases.regimes import boards_of
from experiments.frame.claims import bullets, claim
from experiments.pages.design_figures import count_columns
from models import catalog

Row = Mapping[str, Any]
BERT = (12, 128, 768)
"""Layers, tokens and width of BERT-base."""
CHAIN = ("pipeline", "hybrid", "any_mode")


def findings(rows: Sequence[Row], caps: Sequence[Row], table: Sequence[Row]) -> str:
    """Return what the experiment says, in its full form.

    Parameters
    ----------
    rows, caps
        All cases; step times by number of micro-batches.
    table
        Mean losses by objective and choice.
    """
    losses = {(line["objective"], line["always"]): line for line in table}
    return bullets(
        [
            _who_wins(rows),
            _one_stage(rows, losses),
            _modes(rows),
            _memory(rows),
            _energy(rows),
            _literature(rows, losses),
            _micro_batches(caps),
        ]
    )


def two_datas(rows: Sequence[Row]) -> str:
    """Return why *data* and the literature's data parallelism are far apart.

    Parameters
    ----------
    rows
        All cases.
    """
    both = [row for row in rows if row["data"] and row["lit_data"] and row["single"]]
    alone = sum(abs(row["lit_data"] / row["single"] - 1) < 1e-9 for row in both)
    return (
        "*data* has to share the batch among two boards or more, each by its speed, and sends all gradients "
        "in every step; *literature: data* is EDDL, which takes the k fastest boards for the best k by its "
        f"own estimate, and k may be one: in {alone} of {len(both)} cases it costs what *single* does. "
        "That is why the two differ by orders of magnitude on slow links."
    )


def _who_wins(rows: Sequence[Row]) -> str:
    won = Counter(row["winner"] for row in rows)
    mixed = [row for row in rows if row["cluster"] == "jetson_mixed"]
    alone = [row for row in mixed if row["winner"] == "single"]
    equal = [row for row in rows if row["cluster"] == "nano_x4"]
    chained = [row for row in equal if row["winner"] in CHAIN]
    speed = [board.flop_per_s["fp32"].value for board in boards_of("jetson_mixed")]
    return claim(
        len(alone) > len(mixed) / 2 and len(chained) > 0.7 * len(equal),
        f"**Two answers cover the map.** Of {len(rows)} cases pipelines win {won['pipeline']}, a single "
        f"board {won['single']}, hybrid pipelines {won['hybrid']} and stages in other modes "
        f"{won['any_mode']} (by more than one percent over everything simpler). What decides is how "
        f"unequal the boards are: on four equal Nano some pipeline wins {len(chained)} of {len(equal)} "
        f"cases, on boards that differ {max(speed) / min(speed):.0f}-fold in speed the fastest alone wins "
        f"{len(alone)} of {len(mixed)}, since what the others could add is less than what it costs to "
        "reach them.",
    )


def _one_stage(rows: Sequence[Row], losses: Mapping[tuple[str, str], Row]) -> str:
    never = [row for row in rows if row["winner"] in ("data", "sequence", "tensor")]
    slow, fast = str(min(r["mbit_per_s"] for r in rows)), str(max(r["mbit_per_s"] for r in rows))
    line = losses["time", "data"]
    both = [r for r in rows if r["model"] == "bert_base" and r["data"] and r["tensor"]]
    cheaper = [r for r in both if r["tensor"] < r["data"]]
    card, (layers, tokens, width) = catalog.workload("bert_base"), BERT
    even = sum(block.weight_bytes for block in card.blocks) / (4 * layers * tokens * width * 4)
    return claim(
        not never and len(cheaper) == len(both) and line[slow] > 10 * line[fast],
        "**Data, sequence and tensor parallelism never win.** Always choosing data parallelism takes "
        f"{1 + line[slow] / 100:.0f} times the best step on {slow} Mbit/s and {1 + line[fast] / 100:.0f} "
        f"times on {fast} (means), since all gradients cross the links in every step; a pipeline sends one "
        f"activation a cut. In all {len(both)} cases of BERT tensor parallelism beats data parallelism, "
        "against the ordering read from the paper. Standard collectives say when: 8 (n - 1) / n of a layer's "
        f"activation for each layer against 2 (n - 1) / n of all weights are equal bytes at {even:.0f} "
        "samples; here the batch is 16.",
    )


def _modes(rows: Sequence[Row]) -> str:
    gains = {
        (row["model"], row["cluster"], row["memory"], row["mbit_per_s"], row["objective"]): 100
        * (1 - row["any_mode"] / row["hybrid"])
        for row in rows
        if row["hybrid"] and row["any_mode"]
    }
    large = {key: gain for key, gain in gains.items() if gain > 1}
    return claim(
        all(key[0] == "gpt2" and key[3] >= 100 and key[4] == "time" for key in large)
        and all(gain > -1e-9 for gain in gains.values()),
        f"**Modes beside data inside a stage** gain more than one percent in {len(large)} of {len(gains)} "
        f"cases, {max(gains.values()):.1f} % at most (found by a descent, not proven): all of them GPT-2 "
        "in least time on 100 Mbit/s and more. Groups in mode data, Asteroid's space, lose little against "
        "the wider one.",
    )


def _memory(rows: Sequence[Row]) -> str:
    fits = {
        (family, part): sum(row[family] is not None for row in rows if row["memory"] == part)
        for family in ("data", "sequence", "tensor", "pipeline")
        for part in (1.0, 0.5)
    }
    num = sum(row["memory"] == 0.5 and row["model"] != "mobilenet_v2" for row in rows)
    plain = {
        family: sum(
            row[family] is not None for row in rows if row["memory"] == 0.5 and row["model"] != "mobilenet_v2"
        )
        for family in ("data", "tensor", "pipeline")
    }
    return claim(
        plain["data"] < plain["tensor"] <= plain["pipeline"] and fits["data", 0.5] < fits["data", 1.0],
        "**Memory takes data parallelism first**, as expected: with half the memory of four Nano it "
        f"fits in {plain['data']} of {num} cases of the two Transformers, tensor in {plain['tensor']}, "
        f"pipelines in {plain['pipeline']}: every replica keeps all weights, gradients and optimizer "
        "states.",
    )


def _energy(rows: Sequence[Row]) -> str:
    by_case: dict[object, dict[str, Row]] = {}
    for row in rows:
        key = row["model"], row["cluster"], row["memory"], row["mbit_per_s"]
        by_case.setdefault(key, {})[row["objective"]] = row
    pairs = [(pair["time"], pair["energy"]) for pair in by_case.values() if pair["time"]["winner"]]
    differ = [1 for time, energy in pairs if time["winner"] != energy["winner"]]
    fewer = [1 for time, energy in pairs if energy["winner_devices"] < time["winner_devices"]]
    more = [1 for time, energy in pairs if energy["winner_devices"] > time["winner_devices"]]
    return claim(
        len(fewer) > len(more) and len(differ) < len(pairs) / 2,
        f"**Least energy and least time** ask for the same family in {len(pairs) - len(differ)} of "
        f"{len(pairs)} cases, because boards that are left out idle all the same: a shorter step saves "
        f"their idle power too. Where they differ energy uses fewer boards ({len(fewer)} cases, more in "
        f"{len(more)}).",
    )


def _literature(rows: Sequence[Row], losses: Mapping[tuple[str, str], Row]) -> str:
    names = ("asteroid", "dapple", "pipedream", "galaxy")
    found = {name: losses["time", f"literature: {name}"] for name in names}
    rates = [key for key in found["asteroid"] if key.isdigit()]
    mid = {
        name: median(line[rate] for rate in rates if line[rate] is not None) for name, line in found.items()
    }
    words = ", ".join(f"{name} {mid[name]:.0f} %" for name in names)
    fewer = sum(row["winner_devices"] < 4 for row in rows if row["winner"])
    other = sum(row["winner_micro_batches"] != 4 for row in rows if row["winner"])
    return claim(
        all(mid[name] > 5 for name in names) and fewer + other > len(rows) / 2,
        f"**The literature's choice** loses (mean over cases, median over bandwidths): {words}. Asteroid and "
        "DAPPLE take all boards and four micro-batches whatever the link; the best plan leaves boards out in "
        f"{fewer} of {len(rows)} cases and has another number of micro-batches in {other}.",
    )


def _micro_batches(caps: Sequence[Row]) -> str:
    counts = count_columns(caps)
    best = Counter(
        min((name for name in counts if row[name] is not None), key=lambda name: row[name]) for row in caps
    )
    four = [
        row["micro_batches_4_s"] / min(row[c] for c in counts if row[c])
        for row in caps
        if row["micro_batches_4_s"]
    ]
    free = [min(row[c] for c in counts if row[c]) / row["caps_free_s"] for row in caps if row["caps_free_s"]]
    words = ", ".join(f"{name.split('_')[2]} ({best[name]})" for name in sorted(best, key=counts.index))
    return claim(
        len(best) > 2 and mean(four) > 1.01 and min(free) > 1 - 1e-9,
        f"**Micro-batches.** No number suits all: the best of five, and in how many of {len(caps)} cases: "
        f"{words}; one suits a single board, many suit pipelines of large models. Four, a common default, "
        f"costs {100 * (mean(four) - 1):.0f} % on average and {100 * (max(four) - 1):.0f} % at most. Free "
        f"in-flight caps gain {100 * (1 - 1 / mean(free)):.1f} % on average over the schedule's own, "
        f"{100 * (1 - 1 / max(free)):.0f} % at most.",
    )
