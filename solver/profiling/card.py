"""Card: a device card from what was measured on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from models.cluster import Device
from models.quantity import Quantity
from models.workload import TimeProfile, Workload
from solver.job import OPTIMIZER_PASSES

if TYPE_CHECKING:
    from models.nets.timing import NetTimes


def card_of(
    name: str,
    workload: Workload,
    found: NetTimes,
    memory_bytes: int,
    power_w: tuple[float | None, float | None] = (None, None),
    like: Device | None = None,
) -> Device:
    """Return the card of a device.

    Parameters
    ----------
    name
        Its name, and its kind.
    workload
        Card of the net that was timed.
    found
        Its times.
    memory_bytes
        What is free for training.
    power_w
        Idle and busy, from a power log; ``None`` where there is none.
    like
        A card whose power and remaining words are taken over where nothing was measured, as estimates.

    Notes
    -----
    The time an operation costs beside its arithmetic is inside the measured times, so the card says 0.
    """
    sizes = tuple(found.times)
    largest = found.times[sizes[-1]]
    seconds = sum(one.forward_s + one.backward_s for one in largest.values())
    how = f"{workload.name}, all blocks at batch {sizes[-1]}, medians"
    words: dict[str, Any] = {} if like is None else like.model_dump(exclude={"power_modes", "profiles"})
    words |= {
        "name": name,
        "kind": name,
        "description": "" if like is None else f"measured; the rest as {like.name}",
        "flop_per_s": {
            workload.precision: Quantity(value=_flop(workload) * sizes[-1] / seconds, measured=how)
        },
        "memory_bytes": Quantity(value=memory_bytes, measured="free when it was profiled"),
        "memory_bytes_per_s": Quantity(
            value=found.update_bytes_per_s * OPTIMIZER_PASSES["adamw"],
            measured="AdamW on the block with the most weights, median",
        ),
        "overhead_s": Quantity(value=0, measured="inside the times of the blocks"),
        "profiles": {workload.name: _profiles(found)},
    }
    idle, busy = power_w
    words["idle_w"] = _power(idle, like.idle_w if like else None, "nothing ran")
    words["busy_w"] = _power(busy, like.busy_w if like else None, "blocks ran")
    if words["busy_w"].value < words["idle_w"].value:
        words["busy_w"] = words["idle_w"]
    return Device(**words)


def text_of(card: Device) -> str:
    """Return the text of a card's file."""
    return yaml.safe_dump(
        card.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True, width=110
    )


def _flop(workload: Workload) -> float:
    return sum(b.forward_flop + b.backward_input_flop + b.backward_weight_flop for b in workload.blocks)


def _profiles(found: NetTimes) -> dict[str, TimeProfile]:
    sizes = tuple(found.times)
    return {
        block: TimeProfile(
            samples=sizes,
            forward_s=tuple(found.times[size][block].forward_s for size in sizes),
            backward_s=tuple(found.times[size][block].backward_s for size in sizes),
        )
        for block in found.times[sizes[0]]
    }


def _power(measured_w: float | None, like: Quantity | None, when: str) -> Quantity:
    if measured_w is not None:
        return Quantity(value=measured_w, measured=f"mean of the power log while {when}")
    if like is not None:
        reason = like.estimate or like.source or "the card it is like"
        return Quantity(value=like.value, estimate=f"not measured; {reason}")
    return Quantity(value=0, estimate="not measured: no power log and no card to take it from")
