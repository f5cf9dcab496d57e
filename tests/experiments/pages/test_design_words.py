"""What is said of data parallelism with and without the choice of one board."""

from __future__ import annotations

from experiments.pages.design_words import two_datas


def test_cases_in_which_eddl_takes_one_board_are_counted() -> None:
    rows = [
        {"single": 1.0, "data": 9.0, "lit_data": 1.0},
        {"single": 2.0, "data": 1.5, "lit_data": 1.5},
        {"single": None, "data": None, "lit_data": None},
    ]
    assert "in 1 of 2 cases" in two_datas(rows)
