"""What the orders of devices and the rings and stars say, in words that the data must bear out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from experiments.frame.claims import bullets, claim
from models import catalog

Row = Mapping[str, Any]


def findings(rows: Sequence[Row], losses: Sequence[Row], sync: Sequence[Row]) -> str:
    """Return what the experiment says, in its full form.

    Parameters
    ----------
    rows, losses
        All cases; mean losses by family and network.
    sync
        Rings and stars.
    """
    table = {(line["family"], line["network"]): line for line in losses}
    return bullets(
        [
            _when(rows, table),
            _memory_sorted(rows, table),
            _rooms(rows, table),
            _last_block(rows),
            _who(rows, table),
            _star(sync),
            _ring(sync),
        ]
    )


def _when(rows: Sequence[Row], table: Mapping[tuple[str, str], Row]) -> str:
    fast, rooms = table["hybrid", "switch_1000"], table["hybrid", "rooms_30"]
    shared, apart = table["pipeline", "shared_100"], table["pipeline", "rooms_100"]
    same = [row for row in rows if (row["family"], row["network"]) == ("pipeline", "shared_100")]
    return claim(
        all(abs(row["memory_sorted_link_s"] / row["best_order_link_s"] - 1) < 0.1 for row in same)
        and fast["median"] < 25 < rooms["median"]
        and shared["median"] < 10 < apart["median"],
        "**When it matters.** Most where links differ: a middling order of hybrid pipelines loses "
        f"{fast['median']:.0f} % on a gigabit switch and {rooms['median']:.0f} % between two rooms over 30 "
        "Mbit/s. Least for plain pipelines where one access point is the bottleneck, since every order "
        f"sends about the same bytes through the same air: a middling order loses {shared['median']:.0f} "
        f"%, against {apart['median']:.0f} % in two rooms over 100 Mbit/s.",
    )


def _memory_sorted(rows: Sequence[Row], table: Mapping[tuple[str, str], Row]) -> str:
    known = [row for row in rows if row["memory_sorted_loss_percent"] is not None]
    worse = [row for row in known if row["memory_sorted_loss_percent"] > row["median_loss_percent"]]
    zero = [row for row in known if row["memory_sorted_loss_percent"] < 0.01]
    hybrids = [line for (family, _), line in table.items() if family == "hybrid"]
    return claim(
        all(line["memory_sorted"] > line["fast_first"] for line in hybrids)
        and all(row["orders_fit"] == row["orders"] for row in rows),
        "**Most memory first, Asteroid's rule**, looks at no link. It is worse than the middling order in "
        f"{len(worse)} of {len(known)} cases, and within 0.01 % of the best order in {len(zero)}. For hybrid "
        "pipelines fastest first loses less on every kind of network: "
        f"{mean(line['fast_first'] for line in hybrids):.0f} % against "
        f"{mean(line['memory_sorted'] for line in hybrids):.0f} %, mean over kinds. The order was meant for "
        "memory (early stages keep more micro-batches in flight), but here every order fits.",
    )


def _rooms(rows: Sequence[Row], table: Mapping[tuple[str, str], Row]) -> str:
    rooms = [row for row in rows if row["network"].startswith("rooms")]
    best, sorted_ = (
        mean(row[f"{rule}_link_s"] for row in rooms if row["memory_sorted_link_s"] is not None)
        for rule in ("best_order", "memory_sorted")
    )
    lines = [line for (_, network), line in table.items() if network.startswith("rooms")]
    rules = ("memory_sorted", "fast_first", "slow_first")
    return claim(
        all(line["as_listed"] < min(line[rule] for rule in rules) for line in lines) and sorted_ > best,
        "**Two rooms.** The cluster lists its boards room by room, and that naive order beats every "
        "sorted one, since it crosses the bridge once. Sorted by memory, messages keep links busy for "
        f"{sorted_ / best:.1f} times as long as in the best order (mean seconds a step, one after the "
        "other).",
    )


def _last_block(rows: Sequence[Row]) -> str:
    card = catalog.workload("gpt2")
    flop = [block.forward_flop for block in card.blocks]
    part = flop[-1] / sum(flop)
    four = [row for row in rows if row["family"] == "pipeline" and row["boards"] == "four"]
    mine = [row for row in four if row["workload"] == "gpt2"]
    last = [row for row in mine if row["best_order"].split()[-1] == "orin"]
    return claim(
        len(last) >= len(mine) - 1 and part > 0.2,
        f"**The model matters too.** {part:.0%} of GPT-2's work is its last block, the words' scores, "
        f"which no cut divides: in {len(last)} of {len(mine)} networks the best pipeline of four boards "
        "ends at the fastest one, where fastest first and most memory first put it at the beginning and "
        f"lose {mean(row['memory_sorted_loss_percent'] for row in mine):.0f} % on average.",
    )


def _who(rows: Sequence[Row], table: Mapping[tuple[str, str], Row]) -> str:
    fewer = [row for row in rows if row["family"] == "hybrid"]
    left = [row for row in fewer if row["best_plan_devices"] < {"four": 4, "five": 5}[row["boards"]]]
    line = table["hybrid", "shared_100"]
    return claim(
        len(left) > 0.8 * len(fewer) and line["beyond"] > line["memory_sorted"],
        f"**Who takes part matters more than where.** The best plan leaves boards out in {len(left)} of "
        f"{len(fewer)} cases. Over a slow access point the best order of all boards still takes "
        f"{line['beyond']:.0f} % longer than that plan, while the wrong order adds "
        f"{line['memory_sorted']:.0f} % to the best one.",
    )


def _star(sync: Sequence[Row]) -> str:
    switch = [row for row in sync if row["network"].startswith("switch")]
    shared = [row for row in sync if row["network"].startswith("shared")]
    ratio = mean(row["star_best_s"] / row["ring_best_s"] for row in switch)
    near = max(abs(row["star_best_s"] / row["ring_best_s"] - 1) for row in shared)
    mixed = [row for row in sync if row["network"].startswith("mixed")]
    against = {
        word: [r for r in mixed if r["star_best_s"] < r[f"ring_{word}_s"]] for word in ("nearest", "best")
    }
    worst = all(row["star_worst_s"] > max(row["ring_nearest_s"], row["star_best_s"]) for row in mixed)
    return claim(
        ratio > 2 and near < 0.05 and bool(against["nearest"]) and worst,
        f"**Ring or star.** Over a switch a star takes {ratio:.1f} times the step time of a ring, because "
        "everything passes its centre; over an access point both put 2 (n - 1) times the gradients on the "
        f"air and differ by {100 * near:.1f} % at most. Where links differ a star at the right centre beats "
        f"the ring of nearest boards in {len(against['nearest'])} of {len(mixed)} cases, since a ring runs "
        f"at the pace of its slowest link, and the best ring in {len(against['best']) or 'none'}; at the "
        "wrong centre it is slower than the ring of nearest boards everywhere.",
    )


def _ring(sync: Sequence[Row]) -> str:
    mixed = [row for row in sync if row["network"].startswith("mixed")]
    rooms = [row for row in sync if row["network"].startswith("rooms")]
    uniform = [row for row in sync if row["network"].startswith(("switch", "shared"))]
    missed = [row for row in mixed if row["ring_nearest_s"] > row["ring_best_s"] * 1.001]
    most = max(row["ring_nearest_sync_s"] / row["ring_ours_sync_s"] for row in mixed)
    spread = max(row["ring_worst_s"] / row["ring_best_s"] for row in sync)
    slower = max(row["ring_nearest_worst_s"] / row["ring_best_s"] for row in mixed)
    ours = all(row["ring_ours_s"] <= row["ring_best_s"] * (1 + 1e-9) for row in sync)
    return claim(
        ours
        and bool(missed)
        and all(row["ring_worst_s"] <= row["ring_best_s"] * (1 + 1e-9) for row in uniform)
        and all(row["ring_nearest_s"] <= row["ring_best_s"] * 1.001 for row in rooms),
        "**The order of a ring** is a word of a stage, and ours is the best of all rings in every case. Over "
        "a switch or an access point it changes nothing; elsewhere the worst ring takes up to "
        f"{spread:.1f} times the step of the best. Going on to the nearest board finds the best ring of two "
        f"rooms, but misses it in {len(missed)} of {len(mixed)} cases of links that differ by pair, which "
        f"costs up to {most:.2f} times the seconds of the reduction with boards as listed, and up to "
        f"{slower:.2f} times the step with the worst board first.",
    )
