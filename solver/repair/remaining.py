"""Remaining: a cluster without the devices that have gone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from models.cluster import Cluster


def without(cluster: Cluster, away: Collection[str]) -> Cluster:
    """Return what is left of a cluster.

    Parameters
    ----------
    cluster
        The whole.
    away
        Names of the devices that have gone; one is left at least.

    Raises
    ------
    InputError
        If those that are left cannot reach one another.
    """
    segments = {segment.name: segment for segment in cluster.segments}
    members = {name: [m for m in s.members if m not in away] for name, s in segments.items()}
    while small := [name for name, inside in members.items() if len(inside) < 2]:
        for name in small:
            inside = members.pop(name)
            members = {other: _replaced(names, name, inside) for other, names in members.items()}
    plain = cluster.model_dump(mode="json", by_alias=True)
    plain["devices"] = [device for device in plain["devices"] if device["name"] not in away]
    plain["segments"] = [
        _with(segment, members[segment["name"]], away)
        for segment in plain["segments"]
        if segment["name"] in members
    ]
    plain["links"] = [link for link in plain["links"] if not set(link["between"]) & set(away)]
    return Cluster.model_validate(plain)


def _replaced(names: list[str], old: str, new: list[str]) -> list[str]:
    return [m for name in names for m in (new if name == old else [name])]


def _with(segment: dict[str, Any], members: list[str], away: Collection[str]) -> dict[str, Any]:
    spectrum = segment["spectrum"]
    if spectrum is not None:
        gain = {name: value for name, value in spectrum["gain"].items() if name not in away}
        spectrum = {**spectrum, "gain": gain}
    return {**segment, "members": members, "spectrum": spectrum}
