"""Collectives as rings of point-to-point messages: order, bytes, seconds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solver.collective import Hop, chunk_sizes, chunks, ring_order, ring_s, sent_bytes

FAST, SLOW = Hop(10, 0, ()), Hop(1, 0, ())


def test_chunks_are_whole_items():
    """Ten items of 4 bytes over three: 4, 3 and 3."""
    assert chunks(40, 3, 4) == [16, 12, 12]


def test_odd_bytes_go_to_the_last_chunk():
    assert chunks(10, 2, 4) == [4, 6]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        # Everything but the own chunk.
        ("reduce_scatter", [5, 4, 3]),
        # Everything but the chunk of the next.
        ("all_gather", [4, 3, 5]),
        ("all_reduce", [9, 7, 8]),
    ],
)
def test_sent_bytes(operation: str, expected: list[int]):
    assert sent_bytes(operation, [1, 2, 3]) == expected


@pytest.mark.parametrize(
    ("operation", "seconds"), [("all_gather", 20), ("reduce_scatter", 20), ("all_reduce", 40)]
)
def test_equal_chunks_over_equal_hops(operation: str, seconds: float):
    """Three members, chunks of 10 bytes: two steps of 10 s, or four."""
    assert ring_s(operation, [10, 10, 10], [SLOW] * 3) == seconds


def test_a_step_lasts_as_long_as_its_slowest_hop():
    assert ring_s("all_gather", [10, 10, 10], [FAST, SLOW, FAST]) == 20


def test_uneven_chunks_meet_the_slow_hop_at_other_times():
    """Chunks 6, 3, 0; the hop from member 0 is slow (1 byte/s), the others are not (10 byte/s).

    Gathering, member 0 passes on its own 6, then the 0 of member 2: 6 s, and 0.6 s on the hop from member 1.
    Scattering, it passes on the 0 of member 2, then the 3 of member 1: 0.6 s elsewhere, then 3 s.
    """
    hops = [SLOW, FAST, FAST]
    assert ring_s("all_gather", [6, 3, 0], hops) == pytest.approx(6 + 0.6)
    assert ring_s("reduce_scatter", [6, 3, 0], hops) == pytest.approx(0.6 + 3)


def test_transfers_through_one_medium_add_up():
    """Three chunks of 10 bytes a step: 30 s, in each of 2 (3 - 1) steps."""
    assert ring_s("all_reduce", [10] * 3, [Hop(1, 0, ("air",))] * 3) == 2 * 2 * 30


def test_two_media_are_two():
    hops = [Hop(1, 0, ("left",)), Hop(1, 0, ("left",)), Hop(1, 0, ("right",))]
    assert ring_s("all_gather", [10] * 3, hops) == 2 * 20


def test_latency_counts_in_every_step():
    assert ring_s("all_reduce", [10, 10], [Hop(1, 3, ())] * 2) == 2 * 13


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_seconds_carry_the_bytes(sizes: list[int]):
    """One member's hop is slow, the others take no time: the ring lasts as long as what that member sends."""
    hops = [SLOW] + [Hop(1e30, 0, ())] * (len(sizes) - 1)
    for operation in ("all_gather", "reduce_scatter"):
        assert ring_s(operation, sizes, hops) == pytest.approx(sent_bytes(operation, sizes)[0])


def test_a_ring_goes_to_the_nearest_next():
    rate = {
        frozenset("ab"): 1,
        frozenset("ac"): 10,
        frozenset("ad"): 5,
        frozenset("cd"): 2,
        frozenset("bc"): 3,
    }
    rate[frozenset("bd")] = 1
    assert ring_order("abcd", lambda a, b: Hop(rate[frozenset((a, b))], 0, ())) == ("a", "c", "b", "d")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_chunks_are_known_from_what_everybody_sends(sizes: list[int]):
    for operation in ("all_gather", "reduce_scatter"):
        assert chunk_sizes(operation, sent_bytes(operation, sizes)) == sizes
    equal = [sum(sizes)] * len(sizes)
    assert chunk_sizes("all_reduce", sent_bytes("all_reduce", equal)) == pytest.approx(equal)
