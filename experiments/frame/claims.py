"""Sentences of a README that the data must bear out, or the experiment ends with an error."""

from __future__ import annotations

from collections.abc import Iterable


class ClaimError(Exception):
    """A sentence that is written down is not true of the data: read them again."""


def claim(holds: bool, sentence: str) -> str:
    """Return a sentence if it holds.

    Parameters
    ----------
    holds
        What the data say.
    sentence
        What stands in the README.

    Raises
    ------
    ClaimError
        If it does not hold.
    """
    if not holds:
        raise ClaimError(f"the data do not bear this out: {sentence}")
    return sentence


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)
