"""The file of participants: written, read, refused when what it was chosen for has changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import InputError
from solver.participation.choice import choose
from solver.participation.coalitions import Coalitions
from solver.participation.document import Participants, document_of, narrowed, read_participants
from solver.participation.planner import Planner
from tests.participation import boards


def document(**words: object) -> Participants:
    coalitions = Coalitions(boards.problem([1, 2, 1], **words), Planner("hybrid_exact", 4000))
    made = document_of(coalitions, choose(coalitions, "single", ("all",)))
    assert made is not None
    return made


def test_it_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = document()
    path = tmp_path / "who.json"
    path.write_text(made.to_json())
    assert read_participants(path) == made
    assert made.chosen == ("d1",) and made.equal == (("d0", "d2"),)
    assert [row.rule for row in made.rules] == ["all", "single"]


def test_a_problem_is_narrowed_to_the_chosen() -> None:
    problem = boards.problem([1, 2, 1])
    assert narrowed(problem, document()).usable == ("d1",)


def test_another_cluster_and_names_that_are_not_there_are_all_said() -> None:
    other = replace(boards.problem([1, 2]), cluster=boards.cluster([1, 2]))
    given = document().model_copy(update={"chosen": ("d1", "d2")})
    with pytest.raises(InputError) as error:
        narrowed(other, given)
    assert [fault.path for fault in error.value.faults] == ["cluster.sha256", "chosen.1"]


def test_nobody_and_somebody_twice_are_faults(tmp_path: Path) -> None:
    path = tmp_path / "who.json"
    for chosen, message in (((), "at least 1"), (("d1", "d1"), "named twice: d1")):
        path.write_text(document().model_copy(update={"chosen": chosen}).to_json())
        with pytest.raises(InputError, match=message):
            read_participants(path)


def test_it_says_again_what_was_asked() -> None:
    words = document(objective="energy", left_out="sleep", at_most={"time": 1e3}).words()
    assert (words["objective"], words["left_out"], words["batch"]) == ("energy", "sleep", 4)
    assert (words["at_most"], words["micro_batches"]) == (("time=1000.0",), 2)
