"""Routing: every need is covered once, from the nearest holders."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.layout import Box, intervals
from solver.routing import Piece, route


def samples(start: int, end: int) -> Box:
    return Box((start, end), (0, 1), (0, 1))


def near(source: str, target: str) -> float:
    """Devices are letters in a row."""
    return abs(ord(source) - ord(target))


def test_exactly_the_overlaps_are_sent():
    pieces = route({"a": samples(0, 5), "b": samples(5, 8)}, {"c": samples(0, 4), "d": samples(4, 8)}, near)
    assert pieces == [
        Piece("a", "c", samples(0, 4)),
        Piece("b", "d", samples(5, 8)),
        Piece("a", "d", samples(4, 5)),
    ]


def test_what_a_device_holds_itself_is_not_sent():
    assert route({"a": samples(0, 8)}, {"a": samples(0, 8)}, near) == []
    held = {"a": samples(0, 5), "b": samples(5, 8)}
    assert route(held, {"b": samples(4, 8)}, near) == [Piece("a", "b", samples(4, 5))]


def test_of_two_holders_the_nearest_sends():
    held = {"a": samples(0, 8), "d": samples(0, 8)}
    assert route(held, {"b": samples(0, 8), "c": samples(0, 8)}, near) == [
        Piece("a", "b", samples(0, 8)),
        Piece("d", "c", samples(0, 8)),
    ]


def test_of_equally_near_holders_the_first_sends():
    held = {"c": samples(0, 8), "a": samples(0, 8)}
    assert route(held, {"b": samples(0, 8)}, near) == [Piece("c", "b", samples(0, 8))]


def test_the_nearest_sends_what_it_has_and_the_next_the_rest():
    held = {"a": samples(0, 8), "b": samples(2, 4)}
    pieces = route(held, {"c": samples(0, 8)}, near)
    assert pieces == [
        Piece("b", "c", samples(2, 4)),
        Piece("a", "c", samples(0, 2)),
        Piece("a", "c", samples(4, 8)),
    ]


def test_needs_and_holdings_of_several_boxes():
    """c needs both ends of eight samples; b holds the last two and the first."""
    held = {"a": samples(0, 8), "b": [samples(0, 1), samples(6, 8)]}
    pieces = route(held, {"c": [samples(0, 2), samples(6, 8)]}, near)
    assert pieces == [
        Piece("b", "c", samples(0, 1)),
        Piece("b", "c", samples(6, 8)),
        Piece("a", "c", samples(1, 2)),
    ]


def test_nothing_is_needed():
    assert route({"a": samples(0, 8)}, {"b": samples(3, 3), "c": []}, near) == []


def test_a_need_that_nobody_holds():
    with pytest.raises(ValueError, match=r"c needs .* and nobody holds it"):
        route({"a": samples(0, 5)}, {"c": samples(4, 6)}, near)


shares = st.lists(st.integers(0, 5), min_size=2, max_size=3)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(shares, shares)
def test_every_sample_arrives_once(made: list[int], used: list[int]):
    total = min(sum(made), sum(used))
    held = {name: samples(*part) for name, part in intervals(dict(zip("abc", made, strict=False))).items()}
    needed = {
        name: samples(part[0], min(part[1], total))
        for name, part in intervals(dict(zip("cde", used, strict=False))).items()
        if part[0] < total
    }
    arrived: dict[str, list[int]] = {name: [] for name in needed}
    for source, target, box in route(held, needed, near):
        assert source != target and (box & held[source]) == box
        arrived[target] += range(*box.samples)
    for name, need in needed.items():
        own = range(*(held[name] & need).samples) if name in held else range(0)
        assert sorted([*arrived[name], *own]) == list(range(*need.samples))
