"""The fit finds the constants that made the measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.formats.sailor import PUBLIC, read_folder
from solver.validation.sailor.constants import Constants
from solver.validation.sailor.fit import fit_constants, predict

NAMES = [f"clariden_OPT-350/{name}" for name in ("N1/plan_config_N1_D1_M4_G1", "N2/plan_config_N2_D1")] + [
    f"clariden_OPT-350/N4/plan_config_N4_{name}" for name in ("D1", "D2")
]


def test_constants_are_found_again_from_their_own_predictions() -> None:
    data = read_folder(PUBLIC)
    true = Constants(link_cost=3.0, message_s=2e-4, held_bytes=5e9, activation_part=1.2)
    runs = {}
    for name in NAMES:
        made = predict(data, name, true)
        runs[name] = data.runs[name].model_copy(update={"real": made.iteration_s, "max_mem": made.peak_bytes})
    found = fit_constants(replace(data, runs=runs))
    for word, value in true:
        assert getattr(found, word) == pytest.approx(value, rel=1e-3), word
