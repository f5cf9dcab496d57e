"""What is asked in Python is what the flags say."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import InputError
from solver.asked import asked_of


def test_words_have_the_names_and_defaults_of_the_flags() -> None:
    asked = asked_of({"workload": "vit_digits", "cluster": "four_boards", "deadline_s": 2.0, "steps": 100})
    assert asked.words["deadline"] == 2.0 and asked.words["training_steps"] == 100
    assert (
        asked.words["batch"] == 16 and asked.words["at_most"] is None and asked.words["participants"] is None
    )
    assert asked.given == {"workload", "cluster", "deadline", "training_steps"}
    problem = asked.problem(None)
    assert (problem.job.deadline_s, problem.job.steps) == (2.0, 100)


def test_unknown_words_are_all_told() -> None:
    with pytest.raises(InputError) as caught:
        asked_of({"workload": "vit_digits", "batches": 3, "out": Path("x")})
    assert [fault.path for fault in caught.value.faults] == ["batches", "out"]
