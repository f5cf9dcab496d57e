"""Where groups, graphs and small micro-batches decide: what the textbook solvers and best make of them."""

from __future__ import annotations

from models.workload import Workload
from solver.solve import solve
from tests.algorithms.cases import chain, cluster, placed, problem


def test_small_micro_batches_save_memory() -> None:
    """A sample keeps 30 bytes; weights and gradients take 6: whole, 126 bytes; by samples, 36."""
    small = cluster({"only": 1}, memory={"only": 40})
    solution = solve(problem(chain(3, kept_bytes=10), small, num_micro_batches=None), "single")
    assert solution.plan is not None and solution.plan.pipelines[0].num_micro_batches == 4


def test_a_heavy_block_stands_alone() -> None:
    light = chain(3)
    heavy = light.blocks[2].model_copy(update={"forward_flop": 6.0})
    workload = Workload(name="w", blocks=(*light.blocks[:2], heavy), edges=light.edges)
    solution = solve(problem(workload, cluster({"x": 1, "y": 1})), "pipeline_even")
    assert [blocks for blocks, _ in placed(solution.plan)] == ["ab", "c"]


def test_a_graph_is_cut_along_its_order() -> None:
    """a feeds b and c, both feed d: order abcd, two blocks a stage."""
    edges = [{"source": s, "target": t} for s, t in ("ab", "ac", "bd", "cd")]
    workload = Workload.model_validate({"name": "diamond", "blocks": chain(4).blocks, "edges": edges})
    solution = solve(problem(workload, cluster({"x": 1, "y": 1})), "pipeline_even")
    assert [blocks for blocks, _ in placed(solution.plan)] == ["ab", "cd"]


def test_a_group_beats_all_members_where_one_block_is_too_heavy() -> None:
    """Block a is four times as heavy as b; three equal boards: two share a by samples, one has b."""
    light = chain(2)
    heavy = light.blocks[0].model_copy(update={"forward_flop": 8.0, "backward_weight_flop": 8.0})
    workload = Workload(name="w", blocks=(heavy, light.blocks[1]), edges=light.edges)
    what = problem(workload, cluster({"x": 1, "y": 1, "z": 1}), batch=8, num_micro_batches=4)
    best = solve(what, "best").score
    assert best is not None
    for member in ("single", "pipeline_even", "bitmask_dp"):
        other = solve(what, member).score
        assert other is not None and best < other


def test_best_finds_room_where_one_board_has_none() -> None:
    """A block takes 20 bytes with its gradients, a board has 30: only a pipeline fits."""
    memory = {"x": 30.0, "y": 30.0}
    what = problem(chain(2, weight_bytes=10), cluster({"x": 1, "y": 2}, memory=memory))
    assert len(placed(solve(what, "best").plan)) == 2
