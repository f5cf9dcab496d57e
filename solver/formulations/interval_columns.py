"""Interval columns: a chain of stages of one device each as a path of intervals, a mixed-integer programme.

A binary *column* z says that a device holds an interval [h, i) as a stage with k stages behind it. Nodes are
pairs (boundary, stages behind it); columns are arcs from (i, k) to (h, k + 1), and one unit flows from
(L, 0) to boundary 0. Each device has at most one column. Columns that do not fit into memory at their depth,
or whose own busy time is above the limit, are not made. Depths from which on the same columns fit are one.

Where links are unequal, a binary x says that boundary i lies between device u, which ends there, and device
w, which begins there; then every lane is a sum of columns and boundaries. So is what goes to devices of less
trust, where that is limited. Lanes have the limit as their right-hand side; that is solved for feasibility,
limit by limit, because the linear relaxation is nearly exact there and weak where the busiest lane is
minimised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables
from solver.search.chains.exact_chain import Stages
from solver.search.chains.trust import boundary_untrusted_bytes, untrusted_limit

Terms = list[tuple[Any, float]]
"""Variables with their coefficients."""
SCALE = 1000.0
"""Value of the limit inside the programme: CBC's tolerances are absolute."""


@dataclass
class Programme:
    """The mixed-integer programme.

    Parameters
    ----------
    tables
        Costs of stages.
    problem
        The ``pulp.LpProblem``.
    columns
        (num_columns, 4): device, first block, end, and stages behind it (capped).
    z
        (num_columns,) variables.
    x
        Variables by (device before, device after, boundary); empty where links are alike.
    limit
        Seconds that ``SCALE`` stands for.
    lanes
        Rows that are not above ``SCALE``: (variable, cost) of each term.
    has_boundaries
        Whether ``x`` has been made; where links are alike only a limit on untrusted bytes needs it.
    """

    tables: ChainTables
    problem: Any
    columns: Longs
    z: list[Any]
    limit: float
    x: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    lanes: list[list[tuple[Any, float]]] = field(default_factory=list)
    has_boundaries: bool = False

    def invert(self) -> Stages:
        """Return the stages of the solution, from the first to the last."""
        chosen = [self.columns[c] for c, variable in enumerate(self.z) if (variable.value() or 0) > 0.5]
        rows = sorted((int(h), int(i), int(v)) for v, h, i, _ in chosen)
        return [(self.tables.devices[v], h, i) for h, i, v in rows]

    def add_lane(self, terms: list[tuple[Any, float]]) -> None:
        """Add that a lane is not busier than the limit."""
        import pulp

        self.lanes.append(terms)
        self.problem += pulp.LpAffineExpression(terms) <= SCALE

    def cut_off(self) -> bool:
        """Cut off the solution where lanes are busier than the limit by less than CBC's tolerance.

        Returns
        -------
        bool
            Whether there was such a lane.

        Notes
        -----
        Extended cover inequalities (Balas, Math. Programming 8, 1975): of terms that are too much together,
        and all that are as large as the largest of them, one less may be chosen.
        """
        found = False
        for terms in self.lanes:
            cover = sorted((t for t in terms if (t[0].value() or 0) > 0.5), key=lambda term: term[1])
            while cover and sum(cost for _, cost in cover[1:]) > SCALE:
                cover = cover[1:]
            if sum(cost for _, cost in cover) > SCALE:
                inside = {variable.name for variable, _ in cover}
                largest = cover[-1][1]
                chosen = [x for x, cost in terms if x.name in inside or cost >= largest]
                self.problem += sum(chosen) <= len(cover) - 1
                found = True
        return found

    def forbid(self) -> None:
        """Cut off the solution alone, which breaks a limit that the rows do not hold exactly."""
        chosen = [variable for variable in self.z if (variable.value() or 0) > 0.5]
        self.problem += sum(chosen) <= len(chosen) - 1


def build(tables: ChainTables, allowed: Bools, costs: Floats, limit: float) -> Programme | None:
    """Return the programme whose columns are allowed and cost no more than a limit.

    Parameters
    ----------
    tables
        Costs of stages.
    allowed
        (D, depths, L + 1, L + 1): which stages there are.
    costs
        The same without depths, or with them: busy time of a column alone.
    limit
        Largest cost of a column.

    Returns
    -------
    Programme or None
        ``None`` if no path of columns leads from end to end, or over all devices where all must take part:
        nothing is that good.
    """
    import pulp

    every = costs if costs.ndim == 4 else costs[:, None]
    columns = _reduce(allowed & (every <= limit), allowed.shape[2] - 1)
    everybody = tables.problem.all_take_part
    if len(columns) == 0 or (everybody and len(np.unique(columns[:, 0])) < len(tables.devices)):
        return None
    problem = pulp.LpProblem("interval_columns", pulp.LpMinimize)
    z = [problem.add_variable(f"z{c}", cat="Binary") for c in range(len(columns))]
    programme = Programme(tables, problem, columns, z, limit)
    _flow(programme, allowed.shape[2] - 1)
    if math.isfinite(untrusted_limit(tables.problem)):
        _add_trust(programme)
    return programme


def _reduce(allowed: Bools, num_blocks: int) -> Longs:
    """Return the columns that lie on some path from end to end, one stage more at each arc."""
    num_depths = allowed.shape[1]
    levels = next(
        d
        for d in range(1, num_depths)
        if all((allowed[:, d] == allowed[:, e]).all() for e in range(d, num_depths))
    )
    some = np.asarray(allowed.any(axis=0))
    behind = np.zeros((num_depths, num_blocks + 1), bool)
    behind[0, num_blocks] = True
    for k in range(num_depths - 1):
        behind[k + 1] = (some[k + 1] & behind[k][None, :]).any(axis=1)
    ahead = np.zeros((num_depths, num_blocks + 1), bool)
    ahead[:, 0] = True
    for k in range(num_depths - 2, -1, -1):
        ahead[k] |= (some[k + 1] & ahead[k + 1][:, None]).any(axis=0)
    found = set()
    for k in range(num_depths - 1):
        on_path = allowed[:, k + 1] & ahead[k + 1][None, :, None] & behind[k][None, None, :]
        for v, h, i in np.argwhere(on_path).tolist():
            found.add((v, h, i, min(k, levels - 1)))
    return np.array(sorted(found), np.int64).reshape(-1, 4)


def _flow(programme: Programme, num_blocks: int) -> None:
    """Let one unit flow from (L, 0) to boundary 0, and give each device one column."""
    import pulp

    columns, z = programme.columns, programme.z
    levels = int(columns[:, 3].max()) + 1
    nodes: dict[tuple[int, int], list[tuple[Any, int]]] = {}
    devices: dict[int, list[Any]] = {}
    for (v, h, i, k), variable in zip(columns.tolist(), z, strict=True):
        nodes.setdefault((i, k), []).append((variable, 1))
        devices.setdefault(v, []).append(variable)
        if h:
            nodes.setdefault((h, min(k + 1, levels - 1)), []).append((variable, -1))
    for node, terms in nodes.items():
        programme.problem += pulp.LpAffineExpression(terms) == int(node == (num_blocks, 0))
    everybody = programme.tables.problem.all_take_part
    for variables in devices.values():
        held = pulp.lpSum(variables)
        programme.problem += held == 1 if everybody else held <= 1


def add_boundary_lanes(programme: Programme) -> None:
    """Add boundaries between pairs of devices; the lanes they fill are not busier than the limit.

    Notes
    -----
    A device's send lane carries its outputs forward and its gradients back, its receive lane the reverse;
    with overlap off both and its computation are one lane.
    """
    tables, scale = programme.tables, SCALE / programme.limit
    add_boundaries(programme)
    lanes: dict[tuple[str, int], list[tuple[Any, float]]] = {}
    for (u, w, i), variable in programme.x.items():
        forward = scale * float(tables.message_s[u, w, i])
        backward = scale * float(tables.message_s[w, u, i]) if tables.gradients[i] else 0.0
        for source, target, cost in ((u, w, forward), (w, u, backward)):
            lanes.setdefault(("send", source), []).append((variable, cost))
            lanes.setdefault(("receive", target), []).append((variable, cost))
        for k in range(len(tables.media)):
            load = forward * bool(tables.media[k, u, w]) + backward * bool(tables.media[k, w, u])
            lanes.setdefault(("medium", k), []).append((variable, load))
    if not tables.problem.settings.overlap:
        lanes = _join(programme, lanes)
    for terms in lanes.values():
        programme.add_lane(terms)


def _join(
    programme: Programme, lanes: dict[tuple[str, int], list[tuple[Any, float]]]
) -> dict[tuple[str, int], list[tuple[Any, float]]]:
    joined: dict[tuple[str, int], dict[str, tuple[Any, float]]] = {}
    for (kind, number), terms in lanes.items():
        key = (kind if kind == "medium" else "device", number)
        for variable, cost in terms:
            before = joined.setdefault(key, {}).get(variable.name, (variable, 0.0))
            joined[key][variable.name] = (variable, before[1] + cost)
    for (v, h, i, _), variable in zip(programme.columns.tolist(), programme.z, strict=True):
        cost = SCALE * float(programme.tables.compute_s[v, h, i]) / programme.limit
        joined.setdefault(("device", v), {})[variable.name] = (variable, cost)
    return {key: list(terms.values()) for key, terms in joined.items()}


def _add_trust(programme: Programme) -> None:
    """Add that no more bytes go to less trusted devices than may.

    Notes
    -----
    Inside the programme the limit is ``SCALE``, as for lanes. Boundaries that break it alone are not made.
    """
    most = untrusted_limit(programme.tables.problem)
    sizes = boundary_untrusted_bytes(programme.tables)
    _make_boundaries(programme, sizes <= most)
    terms = [
        (variable, SCALE * float(sizes[place]) / most)
        for place, variable in programme.x.items()
        if sizes[place]
    ]
    if terms:
        programme.add_lane(terms)


def add_boundaries(programme: Programme) -> None:
    """Add the variables of boundaries between pairs of devices, fixed by the columns, unless they are there.

    Notes
    -----
    Those of messages longer than the limit are not made.
    """
    if programme.has_boundaries:
        return
    tables = programme.tables
    back = tables.message_s.transpose(1, 0, 2) * tables.gradients
    _make_boundaries(programme, np.maximum(tables.message_s, back) <= programme.limit)


def _make_boundaries(programme: Programme, allowed: Bools) -> None:
    """Add the variables of the boundaries that are allowed, (D, D, L + 1)."""
    import pulp

    tables, problem = programme.tables, programme.problem
    programme.has_boundaries = True
    ends: dict[tuple[int, int], list[Any]] = {}
    begins: dict[tuple[int, int], list[Any]] = {}
    for (v, h, i, _), variable in zip(programme.columns.tolist(), programme.z, strict=True):
        ends.setdefault((v, i), []).append(variable)
        begins.setdefault((v, h), []).append(variable)
    before: dict[tuple[int, int], list[Any]] = {}
    after: dict[tuple[int, int], list[Any]] = {}
    for i in range(1, tables.num_blocks):
        for u in range(len(tables.devices)):
            for w in range(len(tables.devices)):
                if u == w or (u, i) not in ends or (w, i) not in begins or not allowed[u, w, i]:
                    continue
                variable = problem.add_variable(f"x{u}_{w}_{i}", cat="Binary")
                programme.x[u, w, i] = variable
                before.setdefault((w, i), []).append(variable)
                after.setdefault((u, i), []).append(variable)
    for table, found, gone in ((ends, after, tables.num_blocks), (begins, before, 0)):
        for (v, i), variables in table.items():
            if i != gone:
                problem += pulp.lpSum(variables) == pulp.lpSum(found.get((v, i), []))


def add_medium(programme: Programme) -> None:
    """Add that the load of a medium that all links, being alike, share is not above the limit."""
    load = boundary_both_s(programme.tables)
    terms = [
        (variable, SCALE * float(load[h]) / programme.limit)
        for (_, h, _, _), variable in zip(programme.columns.tolist(), programme.z, strict=True)
    ]
    programme.add_lane(terms)


def boundary_both_s(tables: ChainTables) -> Floats:
    """Return (L + 1,) seconds of the messages over each boundary, both ways, where links are alike."""
    message = tables.message_s[0, 1] if len(tables.devices) > 1 else np.zeros(tables.num_blocks + 1)
    both: Floats = message + np.where(tables.gradients, message, 0)
    return both


def add_fill(programme: Programme) -> None:
    """Add that no stage's passes, after one micro-batch has passed what is before it, end above the limit.

    Notes
    -----
    See :func:`solver.search.chains.chain_value.step_bound_s`. What a micro-batch spends before a boundary is
    a variable that grows from boundary to boundary. Where links are unequal the boundaries must be there.
    """
    import pulp

    passed: list[tuple[Any, float]] = []
    for h, (begin, end) in enumerate(passages(programme, programme.limit)[:-1]):
        if h:
            variable = programme.problem.add_variable(f"p{h}", lowBound=0, upBound=SCALE)
            grown = pulp.LpAffineExpression([*end, *passed, (variable, -1.0)])
            programme.problem += grown <= 0
            passed = [(variable, 1.0)]
        programme.problem += pulp.LpAffineExpression([*begin, *passed]) <= SCALE


def passages(programme: Programme, unit_s: float) -> list[tuple[Terms, Terms]]:
    """Return for every boundary what begins there and what ends there.

    Parameters
    ----------
    programme
        With its boundaries, where links are unequal.
    unit_s
        Seconds that ``SCALE`` stands for.

    Returns
    -------
    list of tuple
        (L + 1,): all passes of the stage that begins at a boundary; those of one micro-batch in the stage
        that ends there, and its messages over the boundary. The first stage's update is added to both.
    """
    tables, scale = programme.tables, SCALE / unit_s
    count = tables.num_micro_batches
    alike = boundary_both_s(tables) if tables.is_uniform else np.zeros(tables.num_blocks + 1)
    found: list[tuple[Terms, Terms]] = [([], []) for _ in range(tables.num_blocks + 1)]
    for (v, h, i, _), variable in zip(programme.columns.tolist(), programme.z, strict=True):
        compute, update = float(tables.compute_s[v, h, i]), float(tables.update_s[v, h, i])
        last = update if h == 0 else 0.0
        found[h][0].append((variable, scale * (count * compute + last)))
        found[i][1].append((variable, scale * (compute + float(alike[i]) + last)))
    for (u, w, i), variable in () if tables.is_uniform else programme.x.items():
        back = float(tables.message_s[w, u, i]) if tables.gradients[i] else 0.0
        found[i][1].append((variable, scale * (float(tables.message_s[u, w, i]) + back)))
    return found


def least_pass_s(tables: ChainTables) -> Floats:
    """Return (L + 1,) seconds that one micro-batch spends before each boundary at least, both ways.

    Notes
    -----
    As if the fastest device could hold any number of stages, and every link were the fastest.
    """
    num = tables.num_blocks + 1
    both = tables.message_s + np.where(tables.gradients, tables.message_s.transpose(1, 0, 2), 0)
    off = ~np.eye(len(tables.devices), dtype=bool)
    between = both[off].min(axis=0) if off.any() else np.zeros(num)
    fastest = np.where(tables.fits.any(axis=1), tables.compute_s, np.inf).min(axis=0)
    passed = np.full(num, np.inf)
    passed[0] = 0.0
    for i in range(1, num):
        passed[i] = (passed[:i] + fastest[:i, i]).min() + between[i]
    return passed
