"""Power tree: chains with modes from the last stage to the first, depth first, cut off by bounds on energy.

A step of a chain takes at least, with passes c and their longer one x of every stage, messages and gradients
l of every boundary, M micro-batches and the first stage's update u:

    max over stages s of  M c_s + (c + l) of all stages before s + u,
    max over stages s of  M c_s + its own update,
    (c + l) of all stages + (M - 1) max(x, single messages) + u;

the order in which a stage takes its passes does not matter for that. Energy is at least what stages and
radios take, and the power of waiting for so long. So are the grams; what a branch takes at least of a limit
is held to it: of the other account, of the bytes to less trusted devices, of the time that batteries last.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from solver.program import Floats, Longs
from solver.schedule import compiled
from solver.search.power.completion import Completion, least_at
from solver.search.power.costs import PowerCosts
from solver.search.step_limits import KEPT

SLACK = 1 - 1e-11
"""Bounds are lowered by so much: sums are rounded in another order than the evaluator's."""

NODE = np.dtype(
    [
        *((word, np.int64) for word in ("start", "mask", "head", "depth")),
        *((word, np.float64) for word in ("alone_s", "own_s", "round_s", "longest_s")),
        *((word, np.float64) for word in ("energy_j", "waiting_w", "bound_j")),
        *((word, np.float64) for word in ("other", "other_w", "sent_down", "most_s", "head_most_s")),
    ]
)
"""The last stages of a chain: first block, devices used, device of the first of them, how many they are;
seconds as above of these stages; joules and watts of them; no chain with them takes less than the bound; the
same two of the other account, and bytes to less trusted devices, as parts of their limits; seconds for which
batteries last, and that of the first of these stages, whose radio is to be used once more."""


class Stack(NamedTuple):
    """Nodes still to be opened, the last first.

    Parameters
    ----------
    nodes
        (capacity,) of ``NODE``.
    path
        (capacity, D, 2): stand-in and first block of every stage, from the last one.
    size
        (1,): how many nodes there are.
    """

    nodes: Any
    path: Longs
    size: Longs


class Leaves(NamedTuple):
    """Whole chains found.

    Parameters
    ----------
    depth
        (capacity,), number of stages.
    path
        (capacity, D, 2), as of nodes.
    energy_j, waiting_w
        (capacity,), as of nodes.
    size
        (1,): how many leaves there are.
    """

    depth: Longs
    path: Longs
    energy_j: Floats
    waiting_w: Floats
    size: Longs


def make_stack(costs: PowerCosts, num_leaves: int, bound_j: float) -> tuple[Stack, Leaves]:
    """Return a stack with the root, and room for leaves.

    Parameters
    ----------
    costs
        Of stages and links.
    num_leaves
        Leaves that are looked at together.
    bound_j
        What is known of the root.
    """
    num_devices, num = costs.link_s.shape[0] - 1, costs.compute_s.shape[1]
    children = len(costs.device) * num
    capacity = children * (num_devices + 1) + 1
    stack = Stack(
        np.zeros(capacity, NODE), np.zeros((capacity, num_devices, 2), np.int64), np.ones(1, np.int64)
    )
    stack.nodes[0]["start"], stack.nodes[0]["head"] = num - 1, num_devices
    stack.nodes[0]["bound_j"] = bound_j
    stack.nodes[0]["most_s"] = stack.nodes[0]["head_most_s"] = math.inf
    size = num_leaves + children
    leaves = Leaves(
        np.zeros(size, np.int64),
        np.zeros((size, num_devices, 2), np.int64),
        np.zeros(size),
        np.zeros(size),
        np.zeros(1, np.int64),
    )
    return stack, leaves


@compiled
def grow(
    costs: PowerCosts, ahead: Completion, rule: Any, limits: Any, work: Any, stack: Stack, leaves: Leaves
) -> Any:
    """Open nodes until there are none, or many leaves, or enough work was done; return how many were opened.

    Parameters
    ----------
    costs, ahead
        Of stages and links, and of what is before them at least.
    rule
        Micro-batches, and what a second counts at least, in the objective's account and the other one.
    limits
        Seconds of a step and joules that are not to be reached or passed: step_s, bound_j.
    work
        Most nodes to open, and leaves to find.
    stack, leaves
        Changed.
    """
    most_nodes, most_leaves = work
    children = np.zeros(len(costs.device) * costs.compute_s.shape[1], NODE)
    choice = np.zeros((len(children), 2), np.int64)
    opened = 0
    while stack.size[0] > 0 and opened < most_nodes and leaves.size[0] < most_leaves:
        stack.size[0] -= 1
        at = stack.size[0]
        if stack.nodes[at].bound_j >= limits[1]:
            continue
        opened += 1
        node = stack.nodes[at : at + 1].copy()
        path = stack.path[at].copy()
        num = _open(costs, ahead, rule, limits, node[0], children, choice)
        order = np.argsort(-children[:num]["bound_j"], kind="mergesort")
        for c in order:
            depth = node[0].depth
            if children[c].start == 0:
                to = leaves.size[0]
                leaves.path[to] = path
                leaves.path[to, depth] = choice[c]
                leaves.depth[to] = depth + 1
                leaves.energy_j[to], leaves.waiting_w[to] = children[c].energy_j, children[c].waiting_w
                leaves.size[0] += 1
                continue
            to = stack.size[0]
            stack.nodes[to] = children[c]
            stack.path[to] = path
            stack.path[to, depth] = choice[c]
            stack.size[0] += 1
    return opened


@compiled
def _open(
    costs: PowerCosts, ahead: Completion, rule: Any, limits: Any, node: Any, children: Any, choice: Longs
) -> Any:
    """List the children of a node that are not cut off; return how many."""
    count, base_w, base_other = rule
    num_devices, num, k = costs.link_s.shape[0] - 1, 0, node.start
    depth = node.depth + 1
    for v in range(len(costs.device)):
        d = costs.device[v]
        if node.mask >> d & 1 or depth >= len(costs.fits):
            continue
        link, child = costs.link_s[d, node.head, k], children[num]
        sent_down = node.sent_down + costs.sent_down[d, node.head, k]
        if sent_down > KEPT:
            continue
        most_s = node.most_s
        if depth > 1:
            most_s = min(most_s, node.head_most_s - count * link * costs.radio_waits[node.head])
        rest = ((1 << num_devices) - 1) ^ node.mask ^ (1 << d)
        for j in range(k):
            if not costs.fits[depth, v, j, k]:
                continue
            child = children[num]
            passes = costs.compute_s[v, j, k]
            child.alone_s = max(count * passes, passes + link + node.alone_s)
            child.own_s = max(node.own_s, count * passes + costs.update_s[v, j, k])
            child.round_s = node.round_s + passes + link
            longest = max(costs.longest_s[v, j, k], costs.link_longest_s[d, node.head, k])
            child.longest_s = max(node.longest_s, longest)
            child.energy_j = node.energy_j + costs.stage_j[v, j, k] + costs.link_j[d, node.head, k]
            child.waiting_w = node.waiting_w + costs.waiting_w[v]
            child.start, child.mask, child.head, child.depth = j, node.mask | (1 << d), d, depth
            child.most_s, child.sent_down = most_s, sent_down
            child.head_most_s = costs.most_s[v, j, k] - count * link * costs.radio_waits[d]
            step_s = _step_s(costs, ahead, child, rest, count, costs.update_s[v, j, k])
            if step_s > min(limits[0], most_s, child.head_most_s) or step_s == math.inf:
                continue
            bound_j = child.energy_j + (base_w + child.waiting_w) * step_s
            child.other = node.other + costs.other[v, j, k] + costs.link_other[d, node.head, k]
            child.other_w = node.other_w + costs.other_w[v]
            other = child.other + (base_other + child.other_w) * step_s
            if j > 0:
                bound_j += least_at(ahead.times_s, ahead.energy_j[rest, j, d], step_s)
                other += least_at(ahead.times_s, ahead.other[rest, j, d], step_s)
            if other > KEPT:
                continue
            child.bound_j = max(bound_j * SLACK, node.bound_j)
            if child.bound_j < limits[1]:
                choice[num, 0], choice[num, 1] = v, j
                num += 1
    return num


@compiled
def _step_s(costs: PowerCosts, ahead: Completion, child: Any, rest: int, count: int, update_s: float) -> Any:
    """Return what a step with these last stages takes at least; infinite if nothing can be before them."""
    if child.start == 0:
        before = update_s
        alone = longest = 0.0
    else:
        before = ahead.round_s[rest, child.start, child.head]
        if before == math.inf:
            return math.inf
        alone = ahead.alone_s[rest, child.start, child.head]
        longest = ahead.longest_s[rest, child.start, child.head]
    paced = child.round_s + before + (count - 1) * max(child.longest_s, longest)
    return max(child.own_s, alone, child.alone_s + before, paced) * SLACK
