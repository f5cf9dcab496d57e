"""Placements within memory: the rule is asked for every count and every number in flight, plans come once."""

from __future__ import annotations

from solver.program import Longs
from solver.search.incumbent import Search
from solver.search.literature.block_placements import Place, offer_placements, plans_within_memory
from solver.search.literature.block_tables import BlockTables
from solver.status import Outcome
from tests.algorithms.boards import boards, problem

TWO = problem(boards(1, 1), num_micro_batches=4)


def test_every_different_placement_gives_its_plans_once() -> None:
    """In flight 0, 1, 2 and 4: a block takes 2000 bytes and 200 more each (2 samples of 100)."""
    asked: list[list[int]] = []

    def rule(tables: BlockTables) -> Place:
        assert tables.num_micro_batches == 4

        def place(need_bytes: Longs) -> list[int] | None:
            asked.append(need_bytes.tolist())
            return None if len(asked) == 1 else [0, 0, 1, 1]

        return place

    plans = list(plans_within_memory(TWO, rule))
    assert asked == [[2000 + 200 * n] * 4 for n in (0, 1, 2, 4)]
    assert [len(plan.pipelines[0].stages) for plan in plans] == [2, 4]


def said(place: Place) -> tuple[Search, Outcome]:
    search = Search(TWO)
    return search, offer_placements(TWO, search, lambda tables: place)


def test_plans_are_offered_and_the_reason_says_whether_any_fits() -> None:
    search, outcome = said(lambda need_bytes: [0, 0, 0, 0])
    assert search.best_plan is not None and "was tried" in outcome.reason
    search, outcome = said(lambda need_bytes: None)
    assert search.best_plan is None and "no placement had enough memory" in outcome.reason
