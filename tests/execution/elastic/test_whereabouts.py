"""Who has which weights when a generation ends, worked out from what members said."""

from __future__ import annotations

from models import catalog
from solver.execution.elastic.desk import Mate
from solver.execution.elastic.whereabouts import Generation, Whereabouts
from solver.plan import Plan
from solver.repair.stock import Move
from tests.execution import plans

VIT = catalog.workload("vit_digits")
THREE = plans.cluster("a", "b", "c")
FRONT, MIDDLE, BACK = plans.VIT[:5], plans.VIT[5:9], plans.VIT[9:]


def generation(
    number: int, first_step: int, *stages: tuple[list[str], str], backup: str = "", every: int = 1
) -> Generation:
    plan: Plan = plans.plan(
        [plans.pipeline(1, 4, *((blocks, {name: 4}) for blocks, name in stages))],
        backup=[{"stage": [0, 1], "on": backup, "every": every}] if backup else [],
    )
    return Generation(number, plan, tuple(name for _, name in stages), first_step, 1.0)


def mates(**said: tuple[str, int, tuple[int, ...]]) -> dict[str, Mate]:
    return {n: Mate(n, state=state, passed=passed, holds=holds) for n, (state, passed, holds) in said.items()}


ALL = generation(1, 0, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"), backup="c")
WITHOUT_B = generation(2, 4, (FRONT, "a"), (MIDDLE + BACK, "c"))


def test_what_is_gone_comes_from_the_copy_of_the_step_before() -> None:
    told = mates(a=("stopped", 4, (1,)), b=("outdated", 0, ()), c=("stopped", 4, (1,)))
    known = Whereabouts([ALL], told, VIT, THREE)
    stock = known.stock(4)
    assert stock.lost() == ()
    assert set(stock.needs_copies()) == set(MIDDLE)
    move = Move(MIDDLE[0], ("c",), "a", True, 1)
    assert known.told([move], 4) == [
        {"block": MIDDLE[0], "sources": ["c"], "target": "a", "stage": [0, 1, MIDDLE]}
    ]


def test_before_the_first_step_blocks_of_earlier_generations_still_count() -> None:
    told = mates(a=("stopped", 4, (1, 2)), b=("absent", 0, ()), c=("absent", 0, ()))
    known = Whereabouts([ALL, WITHOUT_B], told, VIT, THREE)
    assert known.usable(4) == [1, 2]
    told["a"].holds = (1,)
    assert not set(FRONT) & set(known.stock(4).lost())
    assert known.usable(5) == [2]
    assert set(FRONT) <= set(known.stock(5).lost())


def test_who_fell_behind_has_nothing_that_counts() -> None:
    told = mates(a=("stopped", 6, (2,)), b=("idle", 4, (1,)), c=("stopped", 6, (2,)))
    known = Whereabouts([ALL, WITHOUT_B], told, VIT, THREE)
    assert "b" not in {name for parts in known.stock(6).held.values() for name in parts}
    assert known.stock(6).lost() == ()


def test_rare_copies_and_what_others_kept_of_that_moment_are_the_latest_state() -> None:
    rare = generation(1, 0, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"), backup="c", every=3)
    told = mates(a=("stopped", 5, (1,)), b=("absent", 0, ()), c=("stopped", 5, (1,)))
    known = Whereabouts([rare], told, VIT, THREE)
    assert set(known.stock(5).lost()) == set(MIDDLE)
    told["a"].kept, told["c"].kept = (1, 3, 5), (1, 3)
    stock, version = known.latest(5)
    assert (version, stock.lost()) == (3, ())
    assert set(stock.needs_copies()) == set(MIDDLE)
    told["c"].kept = (1,)
    assert known.latest(5)[1] == 1
    told["c"].kept = ()
    stock, version = known.latest(5)
    assert (version, set(stock.lost())) == (5, set(MIDDLE))


def test_who_came_back_before_the_others_went_on_still_has_its_weights() -> None:
    told = mates(a=("stopped", 3, (1,)), b=("idle", 3, (1,)), c=("idle", 2, (1,)))
    stock = Whereabouts([ALL], told, VIT, THREE).stock(3)
    assert set(stock.held[MIDDLE[0]]) == {"b"}
    # It sent its part of the exchange that ended step 2, so its update was done.
    assert set(stock.held[BACK[0]]) == {"c"}
    told["c"].passed = 1
    assert set(Whereabouts([ALL], told, VIT, THREE).stock(3).lost()) == set(BACK)


def test_nobody_has_what_comes_after_the_step_that_was_in_work() -> None:
    """The run went back from step 13 to step 10: who remembers 13 knows steps that were undone."""
    began = generation(2, 10, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"))
    told = mates(a=("stopped", 11, (2,)), b=("stopped", 12, (2,)), c=("idle", 13, (1,)))
    known = Whereabouts([ALL, began], told, VIT, THREE)
    assert {block for block, parts in known.stock(13).held.items() if parts} == set(MIDDLE)
    assert set(known.stock(12).lost()) == set(BACK)
