"""Suite sailor: what it must hold, and other folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from models.errors import InputError
from models.formats.sailor import PUBLIC
from solver.validation.sailor.constants import PATH, shipped
from solver.validation.suites import sailor


def test_runs_left_out_are_predicted_within_the_goals() -> None:
    found = sailor.validate(None)
    (split,) = found.splits
    figures = found.summary(split.together)
    assert figures.num_runs == 15
    assert figures.num_plan_pairs == 9
    assert figures.mape is not None and figures.mape <= 0.1
    assert figures.memory_mape is not None and figures.memory_mape <= 0.1
    assert figures.num_wrong_pairs <= 1
    assert found.holds
    assert [part.name for part in split.parts] == ["1 node", *(f"{n} nodes" for n in (2, 4, 8, 16, 32))]


def test_other_data_uses_the_constants_that_ship(tmp_path: Path) -> None:
    place = Path("clariden_OPT-350/N2/plan_config_N2_D1.json")
    (tmp_path / "validation" / place).parent.mkdir(parents=True)
    run = json.loads((PUBLIC / "validation" / place).read_text())
    del run["real"], run["max_mem"]
    (tmp_path / "validation" / place).write_text(json.dumps(run))
    found = sailor.validate(tmp_path)
    name = str(place.with_suffix(""))
    assert list(found.predictions) == [name]
    assert found.predictions[name].iteration_s == pytest.approx(0.65705, rel=0.1)
    assert found.predictions[name].peak_bytes == pytest.approx(26942111744, rel=0.1)
    assert (found.splits, found.goals, found.holds) == ((), (), True)
    assert {constant.name: constant.value for constant in found.constants} == dict(shipped().constants)
    assert any("profile.json is the package's own" in note for note in found.notes)


def test_faults_of_all_runs_are_listed_together(tmp_path: Path) -> None:
    for name in ("N2_D1", "N2_D2"):
        run = json.loads((PUBLIC / f"validation/clariden_OPT-350/N2/plan_config_{name}.json").read_text())
        run["pipeline_list"][0]["layers_per_stage"][0] = [0]
        place = tmp_path / "validation" / "x_OPT-350" / f"{name}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(run))
    with pytest.raises(InputError) as error:
        sailor.validate(tmp_path)
    assert [fault.path.split(":")[0] for fault in error.value.faults] == [
        f"validation/x_OPT-350/{name}.json" for name in ("N2_D1", "N2_D2")
    ]


@pytest.mark.slow
def test_constants_that_ship_are_those_of_the_fit() -> None:
    assert sailor.fit() == PATH.read_text()


def test_copy_of_the_public_data_gives_the_same_predictions(tmp_path: Path) -> None:
    shutil.copytree(
        PUBLIC / "validation" / "clariden_OPT-350" / "N1", tmp_path / "validation/clariden_OPT-350/N1"
    )
    found = sailor.validate(tmp_path)
    assert set(found.predictions) == {
        f"clariden_OPT-350/N1/plan_config_N1_D1_M4_{name}" for name in ("G1", "G32")
    }
    assert found.goals
