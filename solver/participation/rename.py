"""Rename: the same plan with devices exchanged for equal ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from solver.plan import Backup, Explicit, Group, Plan, Share, Stage

T = TypeVar("T")


def renamed(plan: Plan, names: Mapping[str, str]) -> Plan:
    """Return a plan whose devices have other names.

    Parameters
    ----------
    plan
        What is decided.
    names
        Device to the one that takes its place; those not named stay.
    """
    pipelines = tuple(
        pipeline.model_copy(update={"stages": tuple(_stage(stage, names) for stage in pipeline.stages)})
        for pipeline in plan.pipelines
    )
    server = plan.sync.server
    sync = plan.sync if server is None else plan.sync.model_copy(update={"server": names.get(server, server)})
    change = {
        "pipelines": pipelines,
        "sync": sync,
        "devices": _keys(plan.devices, names),
        "backup": tuple(_backup(one, names) for one in plan.backup),
    }
    return plan.model_copy(update=change)


def _keys(table: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    return {names.get(name, name): value for name, value in table.items()}


def _backup(one: Backup, names: Mapping[str, str]) -> Backup:
    return one.model_copy(update={"on": names.get(one.on, one.on)})


def _stage(stage: Stage, names: Mapping[str, str]) -> Stage:
    change = {
        "shares": _shares(stage.shares, names),
        "instances": _keys(stage.instances, names),
        "routing": None if stage.routing is None else _keys(stage.routing, names),
        "ring": tuple(names.get(name, name) for name in stage.ring),
    }
    return stage.model_copy(update=change)


def _shares(
    shares: Explicit | dict[str, Share], names: Mapping[str, str]
) -> Explicit | dict[str, int | Group]:
    if isinstance(shares, Explicit):
        tables = {word: getattr(shares, word) for word in ("heads", "columns", "tokens")}
        given = {word: _keys(table, names) for word, table in tables.items() if table is not None}
        return shares.model_copy(update=given)
    # The key of a nested group is a label, its devices stand inside.
    return {
        (name if isinstance(share, Group) else names.get(name, name)): (
            share.model_copy(update={"shares": _shares(share.shares, names)})
            if isinstance(share, Group)
            else share
        )
        for name, share in shares.items()
    }
