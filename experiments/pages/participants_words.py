"""What cet_participants says, in tables and plain words, all from its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from experiments.frame.tables import markdown, number
from experiments.pages.participants_figures import NAMES, Rows, regimes_of
from experiments.pages.participants_findings import (
    RULE_WORDS,
    findings,
    losses_of,
    percent,
    reasons,
    rows_of,
    worth_findings,
)

Row = Mapping[str, Any]


def words(
    rows: Rows, worth: Rows, losses: Sequence[str], shown: Sequence[str], workload: str
) -> tuple[str, ...]:
    """Return the parts of the README.

    Parameters
    ----------
    rows, worth
        Cases, and boards of cases.
    losses
        Rules.
    shown, workload
        Clusters and workload of the table of worth.
    """
    return (
        _asked(rows),
        "## What each rule loses",
        "How much worse the best plan of the rule's group is than that of the best group, in percent: "
        "median / mean / worst case. Every board of the group has a part of the work.",
        markdown(_loss_rows(rows, losses)),
        "![Losses by cluster](losses.png)",
        _listed([*findings(rows), *reasons(rows)]),
        "## Who takes part in the best plan",
        markdown(_chosen_rows(rows)),
        "## What each board is worth",
        "Shapley values over all groups. A group is worth the samples per second (per joule) of its best "
        "plan, from which members may be left out; nobody, and a group without a plan, are worth 0. The "
        "values of all boards add up to what all reach together. `saved` is the same for seconds (joules) of "
        "a step, counted from the dearest group that can train.",
        markdown(_worth_rows(worth, shown, workload)),
        "![Worth of boards](worth.png)",
        _listed(worth_findings(worth)),
    )


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _asked(rows: Rows) -> str:
    clusters, loads = ({row[word] for row in rows} for word in ("cluster", "workload"))
    groups = sum(row["groups"] for row in rows)
    return (
        f"{len(rows)} cases: {len(loads)} workload(s) on {len(clusters)} cluster(s) of "
        f"{_span(rows, 'boards')} boards, by step time and by energy of whole boards, left-out boards idle "
        f"or switched off. In every case every group of boards is planned for (equal boards count once, "
        f"{groups} groups in all), then the groups that rules choose once more by the portfolio. The optimum "
        f"is the best plan of all, begun also from every plan of the literature, and is never worse than one "
        f"of them (the experiment stops if it is). The search for each group is a heuristic under a limit of "
        f"work: a loss is one between the best plans known. The paper gives no figures on this question, so "
        f"none of its figures stand here."
    )


def _span(rows: Rows, word: str) -> str:
    values = sorted({row[word] for row in rows})
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _three(rows: Rows, rule: str) -> str:
    values = losses_of(rows, rule)
    none = len(rows) - len(values)
    text = " / ".join(percent(f(values)) for f in (median, mean, max)) if values else "-"
    return text + (f" ({none} without a plan)" if none else "")


def _loss_rows(rows: Rows, losses: Sequence[str]) -> list[dict[str, Any]]:
    names = [rule for rule in RULE_WORDS if rule in losses or rule == "random_half"]
    return [
        {
            "who takes part": RULE_WORDS[rule],
            **{NAMES[g]: _three(rows_of(rows, g), rule) for g in regimes_of(rows)},
        }
        for rule in names
    ]


def _chosen_rows(rows: Rows) -> list[dict[str, Any]]:
    cases = list(dict.fromkeys((row["cluster"], row["workload"]) for row in rows))
    return [
        {
            "cluster": cluster,
            "workload": load,
            "boards": next(row["boards"] for row in rows if row["cluster"] == cluster),
            **{
                NAMES[(row["objective"], row["left_out"])]: row["chosen"].replace(" ", ", ")
                for row in rows
                if (row["cluster"], row["workload"]) == (cluster, load)
            },
        }
        for cluster, load in cases
    ]


def _worth_rows(worth: Rows, shown: Sequence[str], workload: str) -> list[dict[str, Any]]:
    found = []
    for cluster in shown:
        mine = [row for row in worth if row["cluster"] == cluster and row["workload"] == workload]
        for device in dict.fromkeys(row["device"] for row in mine):
            line: dict[str, Any] = {"cluster": cluster, "workload": workload, "board": device}
            for row in mine:
                if row["device"] == device:
                    name = NAMES[(row["objective"], row["left_out"])]
                    unit = "s" if row["objective"] == "time" else "J"
                    line[f"{name}: share, %"] = number(row["share_percent"], 3)
                    line[f"{name}: saved, {unit}"] = number(row["saved"], 3)
            found.append(line)
    return found
