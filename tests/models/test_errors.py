"""Faults: a message spells out so many that a person can read, the error holds them all."""

from __future__ import annotations

from models.errors import MOST_SHOWN, Fault, InputError, faults_in


def test_a_message_says_how_many_more_there_are() -> None:
    error = InputError([Fault(str(i), "wrong") for i in range(MOST_SHOWN + 1234)])
    assert len(error.faults) == MOST_SHOWN + 1234
    lines = str(error).split("\n")
    assert lines[0] == f"input cannot be used ({MOST_SHOWN + 1234} faults):"
    assert lines[-1] == "  ... and 1,234 more" and len(lines) == MOST_SHOWN + 2


def test_faults_of_a_check_are_returned() -> None:
    def wrong() -> None:
        raise InputError([Fault("a", "b")])

    assert faults_in(wrong) == (Fault("a", "b"),)
    assert faults_in(lambda: None) == ()
