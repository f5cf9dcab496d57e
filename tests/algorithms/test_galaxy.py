"""Galaxy: shares by capacity, overflow moved to who has room, connectives by equal tokens; by hand."""

from __future__ import annotations

import pytest

from models.workload import Workload
from solver.job import Job
from solver.plan import Explicit
from solver.problem import Problem
from solver.search.literature.overflow import Units, share_units
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster

UNITS = Units(heads=4, columns=8, head_bytes=10, column_bytes=5, whole_bytes=20)


def workload() -> Workload:
    """Attention of 4 heads, a connective of 4 tokens, feed-forward of 8 columns."""
    block = {"forward_flop": 800.0, "weight_bytes": 40, "output_bytes": 16, "tokens": 4, "columns": 8}
    blocks = [
        {**block, "name": "attention", "tensor": {"heads": 4, "weight_bytes": 40}},
        {**block, "name": "connective", "forward_flop": 400.0, "weight_bytes": 0, "sequence": {}},
        {**block, "name": "feed_forward", "tensor": {"columns": 8, "weight_bytes": 40}},
    ]
    edges = [
        {"source": "attention", "target": "connective"},
        {"source": "connective", "target": "feed_forward"},
    ]
    return Workload.model_validate({"name": "layer", "blocks": blocks, "edges": edges})


@pytest.mark.parametrize(
    ("room", "heads", "columns"),
    [
        # Speeds 1 and 3: a quarter and three quarters. y needs 20 + 3 x 10 + 6 x 5 = 80 bytes, x 40.
        ((100.0, 100.0), (1, 3), (2, 6)),
        # y has 71: two columns (10 bytes) go to x.
        ((100.0, 71.0), (1, 3), (4, 4)),
        # y has 41: all six columns go (50 bytes left), then a head (40).
        ((100.0, 41.0), (2, 2), (8, 0)),
        # x has room for 45 bytes, one column more than it has; y must lose two.
        ((45.0, 71.0), None, None),
    ],
)
def test_overflow_goes_to_who_has_room(
    room: tuple[float, float], heads: tuple[int, int] | None, columns: tuple[int, int] | None
) -> None:
    found = share_units(UNITS, {"x": 1.0, "y": 3.0}, dict(zip("xy", room, strict=True)))
    if heads is None or columns is None:
        assert found is None
    else:
        assert found == ({"x": heads[0], "y": heads[1]}, {"x": columns[0], "y": columns[1]})


def test_heads_and_columns_follow_speed_and_tokens_are_equal() -> None:
    """A request takes 800 + 400 + 800 flop: on y alone 6.7 s, shared 6 s."""
    what = Problem(
        workload(),
        cluster({"x": 100, "y": 300}),
        Job(kind="serve", batch=1),
        "latency",
        num_micro_batches=1,
    )
    solution = solve(what, "galaxy")
    assert solution.plan is not None and solution.score is not None
    shares = [stage.shares for stage in solution.plan.pipelines[0].stages]
    assert shares == [
        Explicit(heads={"y": 3, "x": 1}),
        Explicit(tokens={"y": 2, "x": 2}),
        Explicit(columns={"y": 6, "x": 2}),
    ]
    # Cut blocks: 600 flop at 300/s on y, 200 at 100/s on x: 2 s each; connective: 200 at 100/s on x, 2 s.
    assert solution.score == pytest.approx(6, rel=1e-6)


def test_nothing_to_cut_is_declined() -> None:
    what = Problem(chain(3), cluster({"x": 1, "y": 2}), Job(batch=4))
    solution = solve(what, "galaxy")
    assert solution.status is Status.DECLINED and "heads or columns" in solution.reason
