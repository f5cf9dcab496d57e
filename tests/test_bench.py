"""The benchmark: figures are found by looking in their folder, written whole, and compared with a goal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import bench
from experiments.figures import Figure, median_s


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """Figures that need no measuring, in place of the folder's."""
    made = {
        "fast": Figure(value=20.0, unit="runs/s", baseline=4.0, baseline_is="walking", goal=10.0),
        "slow": Figure(
            value=3.0, unit="s", baseline=1.0, baseline_is="nothing", goal=2.0, lower_is_better=True
        ),
    }

    class Module:
        def __init__(self, name: str) -> None:
            self.name = name.rpartition(".")[2]

        def measure(self) -> Figure:
            return made[self.name]

    monkeypatch.setattr(bench.importlib, "import_module", Module)
    monkeypatch.setattr(bench, "find", lambda: {name: f"What {name} is." for name in (*made, "broken")})
    return made


def test_every_figure_of_the_folder_says_what_it_is_and_can_be_measured() -> None:
    known = bench.find()
    assert {"simulate_instructions_per_s", "lower_1e6_s", "batch_plans_per_s"} <= set(known)
    for name, what in known.items():
        assert what.endswith("."), name
        assert "def measure() -> Figure:" in (bench.FOLDER / f"{name}.py").read_text(encoding="utf-8")


def test_a_figure_is_written_with_baseline_command_machine_and_versions(
    figures: dict[str, Figure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["fast", "--out", str(tmp_path)]) == bench.DONE
    written = json.loads((tmp_path / "fast.json").read_text(encoding="utf-8"))
    assert written["figure"] == 20 and written["baseline"] == 4 and written["ratio"] == 5
    assert written["unit"] == "runs/s"
    assert written["command"] == "python -m experiments.bench fast"
    assert written["machine"]["cores"] >= 1 and "numpy" in written["versions"]
    assert [file.name for file in tmp_path.iterdir()] == ["fast.json"]
    assert "fast" in capsys.readouterr().out


def test_a_goal_that_is_not_met_is_said(figures: dict[str, Figure], tmp_path: Path) -> None:
    assert figures["fast"].is_met and not figures["slow"].is_met
    assert bench.main(["fast", "slow", "--out", str(tmp_path)]) == bench.NOT_MET


def test_a_broken_figure_does_not_stop_the_others(
    figures: dict[str, Figure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["broken", "fast", "--out", str(tmp_path)]) == bench.BROKE
    assert [file.name for file in tmp_path.iterdir()] == ["fast.json"]
    assert "broken: broken" in capsys.readouterr().err


def test_an_unknown_figure_is_answered_with_the_nearest(
    figures: dict[str, Figure], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["fest", "--out", str(tmp_path)]) == bench.WRONG_INPUT
    assert "did you mean fast" in capsys.readouterr().err


def test_the_first_run_is_not_counted() -> None:
    runs = []
    median_s(lambda: runs.append(1), repeats=3)
    assert len(runs) == 4
