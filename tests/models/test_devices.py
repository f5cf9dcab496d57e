"""Every device card: complete, with the origin of each number, and never a marketed one."""

from __future__ import annotations

import pytest

from models import catalog
from models.cluster import Device, PowerMode
from models.quantity import Quantity

CARDS = [entry.name for entry in catalog.entries("devices")]

# Theoretical FP32 peaks, operations per second: 2 x cores x clock, or cores x vector operations x clock; by
# power mode ("" is the card's own). FP16 and INT8 figures on data sheets are two to a hundred times that.
PEAK_FP32 = {
    "jetson_nano": {"": 236e9, "10w": 236e9, "5w": 157.3e9},
    "jetson_tx2": {"": 666e9, "max_n": 666e9, "max_p": 573e9, "max_q": 435e9},
    "jetson_xavier_nx": {"": 852e9, "20w": 852e9, "15w": 852e9, "10w": 392e9},
    "jetson_orin_nano": {"": 1.28e12, "15w": 1.28e12, "7w": 0.836e12, "25w": 2.09e12},
    "jetson_agx_orin": {"": 3.40e12, "50w": 3.40e12, "maxn": 5.33e12, "30w": 1.28e12, "15w": 0.646e12},
    "raspberry_pi_4": {"": 4 * 8 * 1.5e9},
    "raspberry_pi_5": {"": 4 * 16 * 2.4e9},
    "laptop_cpu": {"": 6 * 32 * 2.5e9},
    "nvidia_a100": {"": 19.5e12},
}


def quantities(part: Device | PowerMode) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Quantity):
            found[name] = value
        elif name == "flop_per_s":
            found |= {f"{name}.{precision}": speed for precision, speed in value.items()}
        elif name == "power_modes":
            for mode, words in value.items():
                found |= {f"{name}.{mode}.{path}": number for path, number in quantities(words).items()}
    return found


def test_the_catalogue_has_the_boards_the_papers_use() -> None:
    assert set(PEAK_FP32) <= set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_every_number_has_its_origin(name: str) -> None:
    without = [
        path
        for path, number in quantities(catalog.device(name)).items()
        if not number.source + number.estimate
    ]
    assert without == []


@pytest.mark.parametrize("name", CARDS)
def test_every_card_says_all_there_is_to_say(name: str) -> None:
    card = catalog.device(name)
    numbers = (
        card.memory_bytes,
        card.memory_bytes_per_s,
        card.idle_w,
        card.busy_w,
        card.radio_w,
        card.overhead_s,
    )
    assert all(number is not None and number.value > 0 for number in numbers)
    assert card.description
    assert {"cpu", "ram"} <= set(card.resources)


@pytest.mark.parametrize("name", CARDS)
def test_the_kind_of_a_card_is_its_name(name: str) -> None:
    assert catalog.device(name).kind == name


@pytest.mark.parametrize(
    ("name", "mode"), [(name, mode) for name, peaks in PEAK_FP32.items() for mode in peaks]
)
def test_fp32_training_stays_below_the_theoretical_fp32_peak(name: str, mode: str) -> None:
    speed = catalog.device(name).in_mode(mode or None).flop_per_s["fp32"].value
    assert 0.2 * PEAK_FP32[name][mode] < speed <= 0.6 * PEAK_FP32[name][mode]


@pytest.mark.parametrize("name", PEAK_FP32)
def test_every_power_mode_has_its_peak_in_the_table(name: str) -> None:
    assert set(PEAK_FP32[name]) == {"", *catalog.device(name).power_modes}


@pytest.mark.parametrize("name", CARDS)
def test_no_precision_is_more_than_twice_as_fast_as_fp32(name: str) -> None:
    card = catalog.device(name)
    for mode in (None, *card.power_modes):
        speeds = card.in_mode(mode).flop_per_s
        assert max(speed.value for speed in speeds.values()) <= 2 * speeds["fp32"].value


@pytest.mark.parametrize("name", CARDS)
def test_power_rises_from_sleep_over_idle_to_busy_in_every_mode(name: str) -> None:
    card = catalog.device(name)
    for mode in (None, *card.power_modes):
        board = card.in_mode(mode)
        assert 0 < board.sleep_w.value < board.idle_w.value < board.busy_w.value


@pytest.mark.parametrize("name", CARDS)
def test_more_speed_takes_more_power(name: str) -> None:
    modes = catalog.device(name).power_modes.values()
    ranked = sorted(modes, key=lambda mode: (mode.flop_per_s["fp32"].value, mode.busy_w.value))
    watts = [mode.busy_w.value for mode in ranked]
    assert watts == sorted(watts)


@pytest.mark.parametrize("name", CARDS)
def test_memory_for_services_is_the_memory_there_is(name: str) -> None:
    card = catalog.device(name)
    assert card.resources["ram"] + card.resources.get("vram", 0) == pytest.approx(card.memory_bytes.value)


@pytest.mark.parametrize("name", [name for name in CARDS if name.startswith("jetson")])
def test_the_efficiency_prior_is_shown_as_an_estimate(name: str) -> None:
    assert "0.4 is a prior" in catalog.device(name).estimates["flop_per_s.fp32"]
