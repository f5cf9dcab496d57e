"""What the losses and worths of cet_participants say, in sentences, all from its rows."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, median
from typing import Any

from experiments.frame.tables import number
from experiments.pages.participants_figures import NAMES, Rows, regimes_of

Row = Mapping[str, Any]
RULE_WORDS = {
    "single": "best single board",
    "all": "all boards",
    "fastest_half": "the fastest half",
    "most_memory_half": "the half with most memory",
    "random_half": "a random half (mean of all of them)",
    "fastest": "the k fastest, best k",
    "add": "greedy, adding",
    "drop": "greedy, leaving out",
    "asteroid": "boards of Asteroid's plan",
    "asteroid_subsets": "boards of Asteroid's best subset",
    "dapple": "boards of DAPPLE's plan",
}
SEARCHED = ("fastest", "add", "drop")
"""Rules that ask the evaluator again and again; the others choose at once."""


def rows_of(rows: Rows, regime: tuple[str, str]) -> list[Row]:
    """Return the rows of one regime."""
    return [row for row in rows if (row["objective"], row["left_out"]) == regime]


def losses_of(rows: Rows, rule: str) -> list[float]:
    """Return what a rule loses, percent, where its group has a plan."""
    return [max(0.0, row[f"{rule}_percent"]) for row in rows if row[f"{rule}_percent"] is not None]


def percent(value: float) -> str:
    """Return percents for people."""
    return "0" if value < 0.05 else number(value, 2) if value < 100 else f"{value:.0f}"


def findings(rows: Rows) -> list[str]:
    """Return what the losses say, in sentences."""
    found = []
    for regime in regimes_of(rows):
        mine = rows_of(rows, regime)
        out = [row for row in mine if row["takes_part"] < row["boards"]]
        alone = [row for row in mine if row["takes_part"] == 1]
        found.append(
            f"**{NAMES[regime]}**: the best plan leaves boards out in {len(out)} of {len(mine)} cases, and "
            f"uses one alone in {len(alone)}; on average {_mean_part(mine)} % of the boards take part. Using "
            f"all costs {percent(mean(losses_of(mine, 'all') or [0.0]))} % more on average"
            f"{_worst(mine, 'all')}."
        )
    at_once = [rule for rule in RULE_WORDS if rule not in SEARCHED and f"{rule}_percent" in rows[0]]
    at_once = [rule for rule in at_once if rule not in ("asteroid_subsets", "random_half")]
    for regime in regimes_of(rows):
        mine = rows_of(rows, regime)
        full = [rule for rule in at_once if len(losses_of(mine, rule)) == len(mine)]
        if full:
            best = min(full, key=lambda rule: mean(losses_of(mine, rule)))
            found.append(
                f"Of the rules that choose without search, {RULE_WORDS[best]} loses least by {NAMES[regime]} "
                f"({percent(mean(losses_of(mine, best)))} % on average{_worst(mine, best)})."
            )
    for rule in SEARCHED:
        hits = sum(1 for loss in losses_of(rows, rule) if loss < 1e-6)
        found.append(
            f"{RULE_WORDS[rule].capitalize()}: the best group in {hits} of {len(rows)} cases"
            f"{_worst(rows, rule)}."
        )
    return found


def reasons(rows: Rows) -> list[str]:
    """Return why all boards are dear: bytes, waiting, idle watts."""
    found = []
    for regime in regimes_of(rows):
        mine = [
            r
            for r in rows_of(rows, regime)
            if r["takes_part"] < r["boards"] and r["all_megabytes"] is not None
        ]
        if not mine:
            continue
        best, every = (
            [median(row[f"{who}_{what}"] for row in mine) for what in ("megabytes", "busy_percent")]
            for who in ("optimum", "all")
        )
        idle = [median(row[f"{who}_idle_energy_percent"] for row in mine) for who in ("optimum", "all")]
        found.append(
            f"Why, by {NAMES[regime]}, where boards are left out (medians): all boards send "
            f"{number(every[0], 2)} MB a step and compute {number(every[1], 2)} % of the time, the best "
            f"group {number(best[0], 2)} MB and {number(best[1], 2)} %; power drawn for being on is "
            f"{number(idle[1], 2)} % of the joules with all, {number(idle[0], 2)} % in the best plan."
        )
    return found


def _mean_part(rows: Rows) -> str:
    return f"{100 * mean(row['takes_part'] / row['boards'] for row in rows):.0f}"


def _worst(rows: Rows, rule: str) -> str:
    fit = [row for row in rows if row[f"{rule}_percent"] is not None]
    if not fit:
        return ""
    worst = max(fit, key=lambda row: row[f"{rule}_percent"])
    loss = max(0.0, worst[f"{rule}_percent"])
    where = f"{worst['workload']} on {worst['cluster']}"
    return f", at worst {percent(loss)} % ({where})" if loss >= 0.05 else ""


def worth_findings(worth: Rows) -> list[str]:
    """Return what the values say, in sentences."""
    found = []
    outside = [row for row in worth if not row["in_optimum"]]
    if outside:
        part = mean(row["share_percent"] for row in outside)
        found.append(
            f"Boards that the best plan leaves out are still worth {number(part, 2)} % of the whole on "
            f"average: they would be needed if others were not there. What a board is worth "
            f"is not what it does now."
        )
    less = [row for row in worth if row["rate"] < -1e-9]
    found.append(
        f"No board is worth less than nothing in any case, as who is not wanted may be left out "
        f"({len(less)} of {len(worth)} values are below 0)."
    )
    return found
