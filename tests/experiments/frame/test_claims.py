"""Sentences that the data bear out are written; others end the experiment."""

from __future__ import annotations

import pytest

from experiments.frame.claims import ClaimError, bullets, claim


def test_a_sentence_that_holds_is_written() -> None:
    assert bullets([claim(2 > 1, "Two is more."), "And so on."]) == "- Two is more.\n- And so on."


def test_a_sentence_that_does_not_hold_ends_the_experiment() -> None:
    with pytest.raises(ClaimError, match="do not bear this out: One is more"):
        claim(1 > 2, "One is more.")
