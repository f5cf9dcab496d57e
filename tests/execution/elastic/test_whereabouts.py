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


def kept(*versions: int) -> frozenset[tuple[int, int]]:
    return frozenset((1, version) for version in versions)


ALL = generation(1, 0, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"), backup="c")
WITHOUT_B = generation(2, 4, (FRONT, "a"), (MIDDLE + BACK, "c"))


def test_what_is_gone_comes_from_the_copy_of_the_step_before() -> None:
    told = mates(a=("stopped", 4, (1,)), b=("outdated", 0, ()), c=("stopped", 4, (1,)))
    told["c"].copies = frozenset({(0, 1, 3), (0, 1, 4)})
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
    told["a"].kept, told["c"].kept = kept(1, 3, 5), kept(1, 3)
    told["c"].copies = frozenset({(0, 1, 1), (0, 1, 3)})
    stock, version = known.latest(5)
    assert (version, stock.lost()) == (3, ())
    assert set(stock.needs_copies()) == set(MIDDLE)
    told["c"].kept = kept(1)
    assert known.latest(5)[1] == 1
    told["c"].kept = kept()
    stock, version = known.latest(5)
    assert (version, set(stock.lost())) == (5, set(MIDDLE))


def test_a_holder_lost_before_the_next_renewal_sends_the_run_back_to_the_one_before() -> None:
    """Generation 2 began after step 12 with b back in it; b dies before it has renewed any copy."""
    rare = generation(1, 0, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"), backup="c", every=5)
    began = generation(2, 12, (FRONT, "a"), (MIDDLE, "b"), (BACK, "c"), backup="c", every=5)
    told = mates(a=("stopped", 12, (1, 2)), b=("absent", 0, ()), c=("stopped", 12, (1,)))
    told["a"].kept, told["c"].kept = kept(5, 10, 11), kept(5, 10, 11)
    told["c"].copies = frozenset({(0, 1, 5), (0, 1, 10)})
    known = Whereabouts([rare, began], told, VIT, THREE)
    stock, version = known.latest(12)
    assert (version, stock.lost(), known.usable(10)) == (10, (), [1])
    assert set(stock.needs_copies()) == set(MIDDLE)
    assert [known.valid(name, 10) for name in "abc"] == [[1], [], [1]]


def test_what_was_undone_is_of_no_generation_that_counts() -> None:
    """The run went on from step 12, and back to 10: the twelfth step is now that of generation 3."""
    three = [generation(n, first, (FRONT, "a"), (MIDDLE, "b")) for n, first in ((1, 0), (2, 12), (3, 10))]
    known = Whereabouts(three, {}, VIT, THREE)
    assert [known.usable(version) for version in (9, 10, 11, 12)] == [[1], [1, 3], [3], [3]]


def test_a_copy_that_was_dropped_is_no_source_of_the_state_it_had() -> None:
    """Stage 0 is copied in every step, stage 1 in every fifth: after 12 steps one copy is of the tenth."""
    stages = (FRONT, {"a": 4}), (MIDDLE, {"b": 4}), (BACK, {"c": 4})
    backup = [{"stage": [0, 0], "on": "c"}, {"stage": [0, 1], "on": "a", "every": 5}]
    plan = plans.plan([plans.pipeline(1, 4, *stages)], backup=backup)
    told = mates(a=("stopped", 12, (1,)), b=("absent", 0, ()), c=("stopped", 12, (1,)))
    told["a"].kept = told["c"].kept = kept(5, 10, 11)
    told["a"].copies = frozenset({(0, 1, 5), (0, 1, 10)})
    told["c"].copies = frozenset({(0, 0, 11), (0, 0, 12)})
    known = Whereabouts([Generation(1, plan, ("a", "b", "c"), 0, 1.0)], told, VIT, THREE)
    stock, version = known.latest(12)
    assert (version, stock.lost()) == (10, ())
    assert set(stock.copies) == set(MIDDLE)
    assert set(known.stock(12).copies) == set(FRONT)


def test_a_wholly_frozen_stage_has_its_copy_though_nothing_is_renewed() -> None:
    stages = (FRONT[:1], {"a": 4}), (FRONT[1:] + MIDDLE + BACK, {"b": 4})
    backup = [{"stage": [0, 0], "on": "b"}, {"stage": [0, 1], "on": "a"}]
    plan = plans.plan([plans.pipeline(1, 4, *stages)], backup=backup, tune="lora", lora_rank=2)
    told = mates(a=("stopped", 2, (1,)), b=("stopped", 2, (1,)))
    known = Whereabouts([Generation(1, plan, ("a", "b"), 0, 1.0)], told, VIT, THREE)
    assert set(known.stock(2).copies) == set(FRONT[:1])


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
