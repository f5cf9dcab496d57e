"""Cards from measurements, by hand."""

import pytest

from models.cluster import Device
from models.nets.timing import BlockTime, NetTimes
from solver.profiling.card import card_of, text_of
from tests.language.cases import block, device, workload

WORK = workload(block("a", 10, 20), block("b", 30, 60))
FOUND = NetTimes(
    times={
        1: {"a": BlockTime(0.5, 1.0, 0.0, 3), "b": BlockTime(1.5, 3.0, 0.0, 3)},
        4: {"a": BlockTime(1.0, 2.0, 0.0, 3), "b": BlockTime(3.0, 6.0, 0.0, 3)},
    },
    update_bytes_per_s=100.0,
    busy=(0.0, 1.0),
)


def test_what_was_measured_says_so():
    card = card_of("board", WORK, FOUND, 1000, (2.0, 5.0))
    # 120 flop a sample, 4 samples in 12 s; an AdamW update reads and writes 7 times what it trains.
    assert card.flop_per_s["fp32"].value == pytest.approx(40)
    assert card.memory_bytes_per_s.value == 700
    assert (card.idle_w.value, card.busy_w.value, card.overhead_s.value) == (2.0, 5.0, 0.0)
    assert card.idle_w.measured == "mean of the power log while nothing ran"
    assert card.has_measured_power
    assert card.estimates == {}
    assert card.profiles["tiny"]["b"].samples == (1, 4)
    assert card.profiles["tiny"]["b"].backward_s == (3.0, 6.0)
    assert (card.name, card.kind) == ("board", "board")


def test_power_nobody_measured_is_an_estimate():
    other = Device.model_validate(
        device("nano", idle_w={"value": 2, "estimate": "a guess"}, busy_w=7, radio_w=1)
    )
    card = card_of("board", WORK, FOUND, 1000, like=other)
    assert (card.idle_w.value, card.idle_w.estimate) == (2.0, "not measured; a guess")
    assert (card.busy_w.value, card.busy_w.estimate) == (7.0, "not measured; the card it is like")
    assert card.radio_w.value == 1.0
    assert not card.has_measured_power


def test_the_text_is_read_back_as_the_same_card():
    import yaml

    card = card_of("board", WORK, FOUND, 1000, (2.0, 5.0))
    assert Device.model_validate(yaml.safe_load(text_of(card))) == card
