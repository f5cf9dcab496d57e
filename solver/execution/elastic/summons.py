"""Summons: what the members of a new generation are told, and what moves between them costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from solver.execution.elastic.account import Carried
from solver.execution.elastic.line import Message
from solver.execution.elastic.whereabouts import Generation
from solver.execution.order import Order
from solver.execution.trace import finite
from solver.lowering.context import Context
from solver.repair.stock import Move


def order_of(order: Order, generation: Generation, losses: Sequence[float], *, fresh: bool) -> dict[str, Any]:
    """Return the order of a generation, as plain data.

    Parameters
    ----------
    order
        Of the run, at the clock it has found.
    generation
        The new one.
    losses
        Of the steps that count, of this run.
    fresh
        Whether it begins as the run does, with a checkpoint, a deployment or weights of the seed.
    """
    done = finite(list(losses[: generation.first_step - order.first_step]))
    return replace(
        order,
        plan=generation.plan.model_dump(mode="json", by_alias=True),
        resume=order.resume if fresh else None,
        deployment=order.deployment if fresh else None,
        earlier_losses=(*order.earlier_losses, *done),
    ).to_json()


def summons(generation: Generation, order: dict[str, Any], rank: int, **rest: Any) -> Message:
    """Return what one member is told.

    Parameters
    ----------
    generation, order
        What it takes part in.
    rank
        Its place.
    rest
        What is the same for all, and only this generation's.
    """
    return {
        "configure": generation.number,
        "order": order,
        "process_rank": rank,
        "num_processes": len(generation.devices),
        "first_step": generation.first_step,
        **rest,
    }


def carried(moves: Iterable[Move], context: Context) -> tuple[Carried, ...]:
    """Return what moves over links, message by message.

    Parameters
    ----------
    moves
        What the members of a generation have to get.
    context
        Its plan.
    """
    found = []
    for move in moves:
        size = move.num_bytes // len(move.sources)
        for source in move.sources:
            if source != move.target:
                lasting, _ = context.transfer(source, move.target, size)
                found.append(Carried(source, move.target, size, lasting))
    return tuple(found)
