"""Seconds and joules per sample of data, sequence, tensor and pipeline parallelism and the best hybrid.

The energy case of collaborative edge training (Zeng et al., arXiv:2404.17766): five models on four Nanos,
mixed Jetsons and Raspberry Pis, links of 10 to 1000 Mbit/s, high and low power modes. What fits, which way
takes least energy and why, and a slice that is run for real.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from experiments.cases.energy_slice import batch_rows, slice_rows
from experiments.cases.ways import OURS_WORK_LIMIT, Boards, case_cells, whole_bytes
from experiments.frame.ours import WORK_LIMIT
from experiments.frame.study import Study
from experiments.pages import energy_orderings as orderings
from experiments.pages.energy_figures import (
    batch_figure,
    rate_figure,
    slice_figure,
    split_figure,
)
from experiments.pages.energy_words import write_words

MODELS = ("bert_base", "gpt2", "vit_b16", "t5_base", "llama2_7b")
BOARDS = (
    *(Boards("nano_x4"), Boards("nano_x4", "lowest")),
    *(Boards("jetson_mixed"), Boards("jetson_mixed", "lowest"), Boards("raspberry_pis")),
)
MBITS = (10, 30, 100, 300, 1000)
BATCH, BATCHES = 16, (4, 8, 16, 32, 64, 128)
STEPS = 4


def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
    """Write rows, plans of one rate, figures and a README.

    Parameters
    ----------
    out
        Where it writes.
    quick
        Two models on two clusters at two rates, and two ways for real.
    jobs
        Processes at a time.

    Raises
    ------
    WorseError
        If our plan is worse than that of any way or planner in any case.
    OrderingError
        If an ordering that the README states does not hold.
    """
    models = MODELS[:2] if quick else MODELS
    boards = (BOARDS[0], BOARDS[4]) if quick else BOARDS
    mbits = MBITS[2::2] if quick else MBITS
    batches = BATCHES[1:5:2] if quick else BATCHES
    asked = {
        "models": models,
        "boards": [list(one) for one in boards],
        "mbit_per_s": mbits,
        "batch": BATCH,
        "batches": batches,
        "work_limit": {"planners": WORK_LIMIT, "ours": OURS_WORK_LIMIT},
        "steps": STEPS,
    }
    study = Study(out, __file__, quick=quick, jobs=jobs, asked=asked)
    parts = study.cells(case_cells(study, models, boards, mbits, BATCH))
    rows = [row for part in parts for row in part]
    swept = study.cells({f"batch {batch}": partial(batch_rows, study, batch) for batch in batches})
    real = study.cell("real slice", partial(slice_rows, study, quick=quick, steps=STEPS))
    _write(study, rows, [row for part in swept for row in part], real)


def _write(study: Study, rows: list[Any], swept: list[Any], real: list[Any]) -> None:
    """Write tables, figures and words."""
    study.table("rows", rows)
    study.table("batches", swept)
    study.table("measured_slice", real)
    energy = [row for row in rows if row["objective"] == "energy"]
    fitting = orderings.what_fits([row for row in energy if row["modes"] == "own"], whole_bytes)
    study.table("what_fits", fitting)
    orderings.check(energy, fitting)
    own = [row for row in energy if row["modes"] == "own"]
    models, clusters = (list(dict.fromkeys(row[word] for row in rows)) for word in ("model", "cluster"))
    here = [row for row in own if row["cluster"] == clusters[0] and row["mbit_per_s"] == 100]
    study.figure("split", split_figure(here, models))
    study.figure("rates", rate_figure(own, models, clusters))
    study.figure("batches", batch_figure(swept))
    study.figure("measured_slice", slice_figure(real))
    write_words(study, rows, fitting, swept, real)
