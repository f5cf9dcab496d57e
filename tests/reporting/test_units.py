import pytest

from solver.reporting import units


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (units.seconds(0.5400184), "540 ms"),
        (units.seconds(0.00002), "20.0 µs"),
        (units.seconds(0.9999), "1.00 s"),
        (units.seconds(12345.0), "12,345 s"),
        (units.seconds(0), "0 s"),
        (units.seconds(3e-9), "0.003 µs"),
        (units.size(999), "999 B"),
        (units.size(2_359_296), "2.36 MB"),
        (units.size(999_999_999), "1.00 GB"),
        (units.rate(12.5e6), "100 Mbit/s"),
        (units.energy(0.924), "924 mJ"),
        (units.operations(94.4e9, "/s"), "94.4 Gflop/s"),
        (units.percent(0.0153, sign=True), "+1.5 %"),
        (units.percent(0.83), "83 %"),
        (units.difference(1.02, 1.0), "+2.0 %"),
        (units.difference(1.0, 0.0), units.NONE),
        (units.digits(0.026, 3), "0.026"),
    ],
)
def test_figures_in_the_words_of_people(said: str, text: str) -> None:
    assert said == text
