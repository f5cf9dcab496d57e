"""Page of cet_energy_belief: believed and true joules over the rate of the links, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import PAGE_IN, line_legend, lines, panels, plain_log, style
from experiments.frame.tables import Row, markdown, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SERIES = {
    "believed of its plan": "believed_j_per_sample",
    "its plan": "energy_j_per_sample",
    "its best kept plan": "informed_j_per_sample",
    "ours": "ours_j_per_sample",
}


def belief_figure(rows: Sequence[Row], model: str) -> Figure:
    """Draw joules per sample over the rate for energy alone (alpha 0), a panel for every cluster.

    Parameters
    ----------
    rows
        A row a case and alpha.
    model
        Whose.
    """
    mine = [row for row in rows if row["model"] == model and row["alpha"] == 0]
    clusters = list(dict.fromkeys(row["cluster"] for row in mine))
    with style():
        figure, every = panels(1, len(clusters), width_in=PAGE_IN, sharey=True)
        for axes, cluster in zip(every, clusters, strict=True):
            here = {row["mbit_per_s"]: row for row in mine if row["cluster"] == cluster}
            series = {name: [row[word] for row in here.values()] for name, word in SERIES.items()}
            label = f"{model}, J per sample" if axes is every[0] else ""
            lines(axes, list(here), series, x_label="Mbit/s", y_label=label)
            axes.set_title(cluster)
            plain_log(axes, [value for values in series.values() for value in values])
        line_legend(figure, list(SERIES))
        return figure


def words(rows: Sequence[Row]) -> list[str]:
    """Return the paragraphs and tables of the README.

    Parameters
    ----------
    rows
        A row a case and alpha.
    """
    alone = [row for row in rows if row["alpha"] == 0]
    return [
        _asked(rows),
        "## Energy alone (alpha 0)",
        markdown(_by(alone, "mbit_per_s")),
        "![Joules per sample, believed and true, over the rate of the links](beliefs.png)",
        _says(alone),
        "## Energy against time",
        markdown(_by(rows, "alpha")),
        _weighs(rows),
    ]


def _asked(rows: Sequence[Row]) -> str:
    count = len({(row["model"], row["cluster"], row["mbit_per_s"]) for row in rows})
    return (
        f"{count} cases: models on Jetson boards behind a switch, batches of 64 in 8 micro-batches, SGD with"
        " momentum. The planner (`asteroid_energy`) is a public re-implementation of an unnamed follow-up of"
        " Asteroid, not a paper's own figures: its E is the power of boards while they compute, with backward"
        " passes of 1.75 forward passes; messages, reductions and waiting take no energy, and it uses all"
        " boards. SLO is 0 s. *Believed* is its own account of its plan, *its plan* the evaluator's:"
        " whole-board energy of the step. *Its best kept plan* is the one it would take of the whole plans it"
        " kept, were they in the evaluator's account: what the wrong account alone costs. Ours is `best` for"
        " energy at the same number of micro-batches; it may leave boards out, which idle."
    )


def _by(rows: Sequence[Row], word: str) -> list[dict[str, Any]]:
    found = []
    for value in dict.fromkeys(row[word] for row in rows):
        here = [row for row in rows if row[word] == value]
        found.append(
            {
                {"mbit_per_s": "Mbit/s"}.get(word, word): value,
                "believed / true energy, median": median(map(_believed, here)),
                "radio, % of true": 100 * median(map(_radio, here)),
                "believed / true step, median": median(map(_step, here)),
                "J / best kept plan's, median": median(map(_blind, here)),
                "largest J ratio": max(map(_blind, here)),
                "energy / ours, median": median(map(_over_ours, here)),
                "largest energy ratio": max(map(_over_ours, here)),
            }
        )
    return found


def _believed(row: Row) -> float:
    return float(row["believed_j_per_sample"] / row["energy_j_per_sample"])


def _radio(row: Row) -> float:
    return float(row["radio_j_per_sample"] / row["energy_j_per_sample"])


def _step(row: Row) -> float:
    return float(row["believed_step_s"] / row["step_s"])


def _blind(row: Row) -> float:
    return float(row["score"] / row["informed_score"])


def _over_ours(row: Row) -> float:
    return float(row["energy_j_per_sample"] / row["ours_j_per_sample"])


def _says(rows: Sequence[Row]) -> str:
    def case(row: Row) -> str:
        return f"{row['model']} on {row['cluster']} at {row['mbit_per_s']} Mbit/s"

    least, worst, far = min(rows, key=_believed), max(rows, key=_blind), max(rows, key=_over_ours)
    same = sum(_blind(row) == 1 for row in rows)
    radio = max(map(_radio, rows))
    fewer = sum(row["ours_devices"] < row["devices"] for row in rows)
    return (
        "Of the energy of its plan the planner believes"
        f" {number(100 * _believed(least), 2)} % at the least ({case(least)}) and"
        f" {number(100 * median(map(_believed, rows)), 2)} % at the median. Radio is"
        f" {number(100 * radio, 2)} % of the true energy at most; the rest of what it leaves out is boards"
        " that wait for messages and for one another. Nothing then keeps it from a cut where messages are"
        " widest: it knows how long they take (its step is about right), but they weigh nothing. In"
        f" {same} of {len(rows)} cases the plan it takes is the best of those it kept all the same; where it"
        f" is not, the account costs up to {number(_blind(worst))}x ({case(worst)}). That is the least it"
        " costs: plans that it did not keep for their believed energy are not in it. Over ours its plan takes"
        f" up to {number(_over_ours(far))}x ({case(far)}), {number(median(map(_over_ours, rows)))}x at the"
        f" median; in {fewer} cases ours uses fewer boards, which is no choice of the planner."
    )


def _weighs(rows: Sequence[Row]) -> str:
    return (
        "J is alpha times the seconds of a step plus 1 - alpha times its joules, here in the evaluator's"
        " account. All boards together take about 10 to 40 W, so energy decides almost alone until alpha is"
        " near 1. The more time weighs, the more it guards against wide cuts; but its step time leaves out"
        " what a reduction of gradients takes, and then the step is believed too short. Over all alphas"
        f" the wrong account costs up to {number(max(map(_blind, rows)))}x in J."
    )
