"""What a device of a group does in a pass, and how that is dealt out to the rows of the Program."""

from __future__ import annotations

from solver.execution.passes.script import Exchange, Script, Unit, crop, deal, divide
from solver.execution.passes.worklist import Worklist
from solver.layout import Box, hull
from solver.lowering import lower
from solver.program import Kind, Row
from tests.execution import plans
from tests.execution.test_run import FOUR, VIT

NAMES = plans.VIT


def worklist(device: str, shares: dict[str, int], mode: str) -> Worklist:
    stage = {"blocks": NAMES, "mode": mode, "shares": shares}
    plan = plans.plan([{"micro_batches": 1, "samples": 4, "stages": [stage]}])
    return Worklist(device, lower(plan, VIT, FOUR), plan, VIT, FOUR)


def words(script: Script) -> list[str]:
    return [
        f"{node.role} {node.block}" if isinstance(node, Unit) else f"<{node.kind} {node.block}>"
        for node in script.nodes
    ]


def test_a_tensor_block_is_cut_between_its_norm_and_its_residual() -> None:
    found = worklist("b", {"a": 5, "b": 7}, "tensor")
    assert words(found.script((0, 0, 0)))[:6] == [
        "whole embedding",
        "enter layer0.attention",
        "<copy layer0.attention>",
        "partial layer0.attention",
        "<sum layer0.attention>",
        "leave layer0.attention",
    ]
    assert found.part((0, 0, 0), NAMES[1]) is None
    assert found.echoes((0, 0, 0), NAMES[1]) is False
    assert found.counts_loss((0, 0, 0), "head") is False


def test_sequence_gathers_keys_and_the_input_of_what_is_not_cut() -> None:
    script = worklist("b", {"a": 24, "b": 40}, "sequence").script((0, 0, 0))
    found = words(script)
    assert found[:4] == [
        "whole embedding",
        "project layer0.attention",
        "<keys layer0.attention>",
        "attend layer0.attention",
    ]
    assert found[-2:] == ["<whole layer5.mlp>", "whole head"]
    assert script.outputs["embedding"] == Box((0, 4), (24, 64), (0, 144))
    assert script.outputs["head"] == Box((0, 4), (0, 1), (0, 10))
    gather = next(node for node in script.nodes if isinstance(node, Exchange) and node.kind == "whole")
    assert (gather.forward, gather.backward) == ("all_gather", None)


def test_pieces_end_at_exchanges_and_where_rows_of_the_backward_pass_do() -> None:
    found = worklist("a", {"a": 5, "b": 7}, "tensor")
    pieces = found.division((0, 0, 0)).piece_of
    units = [("embedding", "whole"), ("layer0.attention", "enter"), ("layer0.attention", "partial")]
    assert [pieces[unit] for unit in units] == [0, 1, 2]
    # The residual reads the embedding in a later piece than the one that makes it.
    assert ("embedding", "output") in found.division((0, 0, 0)).crossing


def test_a_device_alone_has_one_piece() -> None:
    division = worklist("a", {"a": 4}, "data").division((0, 0, 0))
    assert set(division.piece_of.values()) == {0}
    assert division.crossing == frozenset()


def test_rows_without_a_collective_between_cut_pieces_too() -> None:
    script = worklist("a", {"a": 4}, "data").script((0, 0, 0))
    rows = [Row(Kind.BACKWARD, "a", blocks=tuple(part)) for part in (NAMES[9:], NAMES[:9])]
    dealt = deal(script.backward_nodes, rows, "backward")
    assert [len(part) for part in dealt] == [len(NAMES) - 9, 9]
    row_of = {
        (node.block, node.role): k for k, part in enumerate(dealt) for node in part if isinstance(node, Unit)
    }
    division = divide(script, row_of)
    assert division.piece_of[NAMES[8], "whole"] == 0 and division.piece_of[NAMES[9], "whole"] == 1
    assert division.crossing == {(NAMES[8], "output")}


def test_what_follows_a_last_collective_belongs_to_it() -> None:
    found = worklist("a", {"a": 5, "b": 7}, "tensor")
    collective = next(
        task
        for task in found.tasks
        if task.instruction.row.kind == Kind.COLLECTIVE and task.instruction.row.phase == "forward"
    )
    exchange, after = collective.nodes
    assert isinstance(exchange, Exchange) and exchange.kind == "sum"
    assert isinstance(after, Unit) and after.role == "leave"


def test_boxes() -> None:
    outer = Box((2, 6), (0, 8), (0, 3))
    assert crop(outer, Box((3, 4), (0, 8), (0, 3))) == (slice(1, 2),)
    assert crop(outer, Box((2, 6), (4, 8), (0, 3))) == (slice(0, 4), slice(4, 8))
    assert crop(outer, outer) == ()
    assert hull([Box((0, 1), (0, 2), (0, 3)), Box((0, 2), (4, 5), (0, 3))]) == Box((0, 2), (0, 5), (0, 3))
