"""The suite vtrain: the even rows, which nothing was fitted on, and other folders."""

import json

import numpy as np
import pytest

from models.formats.vtrain import FOLDER, read_folder
from solver.validation.metrics import kendall_tau, mape
from solver.validation.suites.vtrain import LEAST_TAU, MOST_MAPE, validate
from solver.validation.vtrain.constants import FILE, shipped, text_of
from solver.validation.vtrain.costs import Shapes, iteration_s
from solver.validation.vtrain.fit import group_of


def test_even_rows_are_nearer_than_the_authors_own_simulator():
    runs = read_folder(FOLDER)[1::2]
    predicted = iteration_s(Shapes.of(runs), shipped())
    assert mape(list(zip([run.iteration_s for run in runs], predicted, strict=True))) < 0.045 < MOST_MAPE


def test_plans_of_even_rows_are_in_order():
    groups = {}
    runs = read_folder(FOLDER)[1::2]
    for run, seconds in zip(runs, iteration_s(Shapes.of(runs), shipped()), strict=True):
        groups.setdefault(group_of(run), []).append((run.iteration_s, seconds))
    assert kendall_tau(groups.values()) >= LEAST_TAU


def test_no_more_than_twelve_constants_each_with_a_meaning():
    listed = shipped().listed()
    assert len(listed) == 12
    assert all(constant.meaning for constant in listed)
    assert text_of(shipped()) == FILE.read_text(encoding="utf-8")


def test_another_folder_is_predicted_with_the_shipped_constants(tmp_path):
    text = (FOLDER / "ground_truth_single.csv").read_text(encoding="utf-8-sig").splitlines()
    (tmp_path / "ground_truth_other.csv").write_text("\n".join([text[0], *text[40:43]]), encoding="utf-8")
    seen = []
    findings = validate(tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert list(findings.predictions) == ["other/1", "other/2", "other/3"]
    expected = iteration_s(Shapes.of(read_folder(FOLDER)[39:42]), shipped())
    found = np.array([one.iteration_s for one in findings.predictions.values()])
    assert found == pytest.approx(expected, rel=1e-9)
    assert findings.summary().num_runs == 3
    assert json.loads(json.dumps(findings.to_json()))["predictions"]["other/1"]["peak_bytes"] is None


def test_runs_that_nobody_measured_are_predicted(tmp_path):
    text = (FOLDER / "ground_truth_single.csv").read_text(encoding="utf-8-sig").splitlines()
    cut = [line.rsplit(",", 1)[0] for line in text[:2]]
    (tmp_path / "ground_truth_new.csv").write_text("\n".join(cut), encoding="utf-8")
    findings = validate(tmp_path, None)
    assert findings.predictions["new/1"].iteration_s > 0
    assert findings.summary().mape is None
