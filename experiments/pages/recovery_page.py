"""The page of the recovery experiment: figures, tables, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

from experiments.cases.recovery import PERIODS, WAYS
from experiments.frame.plots import PAGE_IN, line_legend, lines, panels, style
from experiments.frame.study import Study
from experiments.frame.tables import Row, markdown

LABELS = {
    "light": "light repair",
    "full": "Asteroid anew",
    "full_best": "ours anew",
    "cheapest": "cheapest",
    "restart": "restart",
}
LOSS = ("model", "cluster", "mbit_per_s", "device")
WHEN = ("period_steps", "moment")
THEIRS = "14x"


def figures(study: Study, rows: Sequence[Row]) -> None:
    """Draw the median recovery over the period, by way and rate of the links.

    Parameters
    ----------
    study
        Where.
    rows
        Of the table ``losses``.
    """
    with style():
        rates = sorted({row["mbit_per_s"] for row in rows})
        figure, axes = panels(1, len(rates), width_in=PAGE_IN, sharey=True)
        for one, rate in zip(axes, rates, strict=True):
            here = [row for row in rows if row["mbit_per_s"] == rate and row["goes_on"]]
            series = {
                LABELS[way]: [
                    _median(
                        row["recovery_s"] - row["detect_s"]
                        for row in here
                        if row["way"] == way and row["period_steps"] == period
                    )
                    for period in PERIODS
                ]
                for way in WAYS
            }
            lines(
                one,
                PERIODS,
                series,
                x_label="steps between two backups or checkpoints",
                y_label="median recovery after detection, s" if one is axes[0] else "",
                log_y=True,
            )
            one.set_title(f"{rate} Mbit/s")
        line_legend(figure, list(LABELS.values()))
        study.figure("recovery", figure)


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None


def ratios(
    rows: Sequence[Row], figure: Callable[[Row], float], way: str = "light"
) -> list[tuple[float, Row, Row]]:
    """Return (restart / way, the way's row, the restart's row) for every loss and moment with both.

    Parameters
    ----------
    rows
        Of the table ``losses``.
    figure
        What is divided.
    way
        The way that is compared with a restart.
    """
    ways: dict[str, dict[tuple[Any, ...], Row]] = {way: {}, "restart": {}}
    for row in rows:
        if row["goes_on"] and row["way"] in ways:
            ways[row["way"]][tuple(row[word] for word in (*LOSS, *WHEN))] = row
    pairs = [(ways[way][key], ways["restart"][key]) for key in ways[way] if key in ways["restart"]]
    return [(figure(b) / figure(a), a, b) for a, b in pairs if figure(a) > 0]


def after_detection(row: Row) -> float:
    """Return moving and steps done again, seconds."""
    return float(row["move_s"] + row["redo_s"])


def page(study: Study, rows: Sequence[Row], real: Sequence[Row]) -> None:
    """Write the README.

    Parameters
    ----------
    study
        Where.
    rows, real
        Of the tables ``losses`` and ``measured_runs``.
    """
    study.readme(
        _asked(),
        "## The headline",
        markdown(_headline(rows)),
        _why(rows),
        "![Median recovery after detection over the period](recovery.png)",
        "## By way",
        markdown(_by_way(rows)),
        _says(rows),
        "## By the stage that loses a device, and when",
        markdown(_by_stage(rows)),
        "## Measured: boards killed in real runs",
        _measured_words(real),
        markdown(_real_table(real)),
    )


def _asked() -> str:
    return (
        "Asteroid's plan (64 samples in 8 micro-batches, SGD with momentum) runs with a backup, on"
        " another board, of every stage that only one board holds. Each board of it is lost in turn."
        " *Light*: the neighbours take over, boundaries near the gap shift (our version of the paper's"
        " layer-wise light replay, whose code is not public). *Full*: a planner makes a new plan for the"
        " boards that are left, and only what a board does not have moves. *Restart*: all processes end,"
        " Asteroid's planner plans anew, every board loads its blocks from a checkpoint on the remaining"
        " board with most memory, and the steps since the checkpoint are done again. Moving is the"
        " evaluator's model of the links. Detection is 2 s of silence in every way. Backups and"
        " checkpoints are renewed every 1, 10 or 50 steps; *early* is one step after, *late* one step"
        " before the next. Where the lost board's blocks have a replica in its group nothing is rolled"
        " back, and only the step in flight is done again. Planning is wall time of this host"
        " (`wall_plan_s` in losses.csv), not of a Jetson; loading from disk, and starting processes, are"
        " not in the modelled times: both would make the restart slower."
    )


def _headline(rows: Sequence[Row]) -> list[dict[str, Any]]:
    found = []
    kinds = {
        "after detection (moving + steps done again)": after_detection,
        "with 2 s of detection": lambda row: float(row["recovery_s"]),
        "after detection, without the steps done again": lambda row: float(row["move_s"]),
    }
    for name, figure in kinds.items():
        for period in PERIODS:
            here = [row for row in rows if row["period_steps"] == period]
            part, cheap = ratios(here, figure), ratios(here, figure, "cheapest")
            if not part:
                continue
            largest, light, _ = max(part, key=lambda one: one[0])
            found.append(
                {
                    "recovery, of a restart over that of ours": name,
                    "period, steps": period,
                    "theirs, largest": THEIRS,
                    "light, largest": f"{largest:.3g}x",
                    "light, median": f"{median(one[0] for one in part):.3g}x",
                    "light slower than a restart": f"{sum(r < 1 for r, _, _ in part)} of {len(part)}",
                    "cheapest, largest": f"{max(one[0] for one in cheap):.3g}x",
                    "cheapest, median": f"{median(one[0] for one in cheap):.3g}x",
                    "cheapest slower": f"{sum(r < 1 for r, _, _ in cheap)} of {len(cheap)}",
                    "the case of the largest, light": _case(light),
                }
            )
    return found


def _case(row: Row) -> str:
    where = f"{row['model']} on {row['cluster']}, {row['mbit_per_s']} Mbit/s"
    return f"{where}: {row['device']} of stage {row['stage']} lost, {row['moment']}"


def _why(rows: Sequence[Row]) -> str:
    early = [row for row in rows if row["period_steps"] == 10 and row["moment"] == "early"]
    light = [row for row in early if row["way"] == "light" and row["goes_on"]]
    still = sum(row["moved_bytes"] == 0 for row in light)
    back = sum(row["steps_done_again"] > 1 for row in light)
    restart = [row for row in early if row["way"] == "restart"]
    return (
        "What the paper's 14x is over, and in which case, is not known to us. Here the ratio has three"
        f" sources. Bytes: a light repair moves {median(r['moved_bytes'] for r in light) / 1e6:.3g} MB at"
        f" the median (nothing in {still} of {len(light)} losses, because the boards that take over have a"
        f" replica or the backup), a restart {median(r['moved_bytes'] for r in restart) / 1e6:.3g} MB."
        f" Steps: a restart always goes back to the checkpoint; a light repair does in {back} of"
        f" {len(light)} losses, in the others a replica has the state. So with backups as rare as"
        " checkpoints the ratio grows with the period only where there is a replica, without end, and"
        " elsewhere both do the same steps again and the ratio falls towards 1. Detection: with it no"
        " recovery is quicker than 2 s. Planning is no source: it takes some tenths of a second for"
        " repairs, mostly to place the next backups, and hundredths for Asteroid's planner alone, on this"
        " host. Where the ratio is below 1 the light plan's step is longer than the new plan's, and the"
        " steps done again cost more than the bytes saved."
    )


def _by_way(rows: Sequence[Row]) -> list[dict[str, Any]]:
    found = []
    for way in WAYS:
        here = [row for row in rows if row["way"] == way and row["period_steps"] == PERIODS[0]]
        on = [row for row in here if row["goes_on"]]
        if not on:
            continue
        found.append(
            {
                "way": LABELS[way],
                "goes on, of losses": f"{len(on)} of {len(here)}",
                "moved, MB, median": median(row["moved_bytes"] for row in on) / 1e6,
                "moving, s, median": median(row["move_s"] for row in on),
                "moving, s, largest": max(row["move_s"] for row in on),
                "step after / step before, median": median(
                    r["step_s_after"] / r["step_s_before"] for r in on
                ),
                "one renewal of backups or checkpoint, s, median": median(row["renewal_s"] for row in on),
                "measured planning, s, median": median(row["wall_plan_s"] for row in on),
            }
        )
    return found


def _says(rows: Sequence[Row]) -> str:
    first = [row for row in rows if row["period_steps"] == PERIODS[0]]
    by_loss: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in first:
        by_loss.setdefault(tuple(row[word] for word in LOSS), {})[row["way"]] = row
    pairs = [
        ways["light"]["step_s_after"] / ways["full_best"]["step_s_after"]
        for ways in by_loss.values()
        if ways["light"]["goes_on"] and ways["full_best"]["goes_on"]
    ]
    refused = sum(not ways["light"]["goes_on"] for ways in by_loss.values())
    if not pairs:
        return ""
    near = sum(ratio <= 1.1 for ratio in pairs)
    return (
        f"Throughput afterwards: a step of the light plan takes {median(pairs):.3g} times that of our new"
        f" plan at the median, {max(pairs):.3g} times at most, at most 1.1 times in {near} of {len(pairs)}"
        f" losses. In {refused} of {len(by_loss)} losses the neighbours have no room, and the runtime makes"
        " a new plan instead. A full plan that moves only what is missing is about as quick to go on as a"
        " light one: what makes recovery quick is keeping the state in place, not the smaller search."
    )


def _by_stage(rows: Sequence[Row]) -> list[dict[str, Any]]:
    found = []
    for place in ("first", "middle", "last"):
        for period, moment in ((10, "early"), (10, "late"), (50, "late")):
            line: dict[str, Any] = {"stage": place, "period, steps": period, "when": moment}
            for way in WAYS:
                here = [
                    row["recovery_s"]
                    for row in rows
                    if row["way"] == way
                    and row["goes_on"]
                    and row["period_steps"] == period
                    and row["moment"] == moment
                    and _place(row) == place
                ]
                line[f"{way}, s, median"] = median(here) if here else None
            found.append(line)
    return found


def _place(row: Row) -> str:
    number = int(str(row["stage"]).split("+")[0])
    return "first" if number == 0 else "last" if number == row["stages"] - 1 else "middle"


def _measured_words(real: Sequence[Row]) -> str:
    took = {(row["device"], row["way"]): row["measured_recovery_s"] for row in real}
    boards = dict.fromkeys(device for device, _ in took)
    found = [took[board, "restart"] / took[board, "light"] for board in boards]
    return (
        "vit_digits on four slow emulated boards (the chaos run's, eight times as fast), one process a"
        " board on this host, padded; the board's process is killed during a step. *light* and *full* are"
        " elastic runs, which had found the plans for every single loss beforehand; *restart* ends all"
        " processes, plans anew, starts processes, loads the checkpoint, until the first step begins (its"
        " moving is starting, setting up and loading, not told apart; detection and the steps since the"
        f" checkpoint are not in it). {len(real)} runs, one each, while the host did other work: a restart"
        f" took {min(found):.3g} to {max(found):.3g} times as long as a light repair."
    )


def _real_table(real: Sequence[Row]) -> list[dict[str, Any]]:
    words = (
        "measured_detect_s",
        "measured_stop_s",
        "measured_plan_s",
        "measured_move_s",
        "measured_recovery_s",
    )
    rows = []
    for row in real:
        line = {"board": row["device"], "way": row["way"], "step after, s": row["step_s_after"]}
        for word in words:
            value = row.get(word)
            heading = word.removesuffix("_s").replace("_", " ") + ", s"
            line[heading] = None if value is None or math.isnan(value) else value
        rows.append(line)
    return rows
