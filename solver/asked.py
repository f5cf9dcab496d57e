"""What is asked: the words that say a problem; a person gave some, the others have their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import Fault, InputError

if TYPE_CHECKING:
    from solver.participation.document import Participants
    from solver.problem import Problem

_API_WORDS = {
    "deadline": "deadline_s",
    "energy_budget": "energy_budget_j",
    "carbon_budget": "carbon_budget_g",
    "untrusted_limit": "untrusted_limit_bytes",
    "training_steps": "steps",
}
"""Flags that have another name in :func:`solver.api.problem`."""


@dataclass(frozen=True)
class Asked:
    """What a person asked for.

    Parameters
    ----------
    words
        Value of every flag.
    given
        Names of the flags that were typed; the others have their defaults.
    """

    words: Mapping[str, Any]
    given: frozenset[str]

    def problem(self, out: Path | None) -> Problem:
        """Return the problem; with a file of participants, it says what the person did not.

        Parameters
        ----------
        out
            Where the plan will lie: paths in it are relative to that.

        Raises
        ------
        InputError
            With every fault.
        """
        from solver import api

        words, file = self._completed()
        made = api.problem(**words, out=out)
        if file is None:
            return made
        from solver.participation.document import narrowed

        return narrowed(made, file)

    def faults(self) -> tuple[Fault, ...]:
        """Return what is wrong with the words on any cluster; the cluster may not be there yet."""
        from solver import api

        try:
            api.problem(**{**self._completed()[0], "cluster": None})
        except InputError as error:
            return tuple(fault for fault in error.faults if fault.path != "cluster")
        return ()

    def _completed(self) -> tuple[dict[str, Any], Participants | None]:
        """Return the words of :func:`solver.api.problem`, and the file of participants if there is one."""
        from solver import api

        may_be_none = ("workload", "cluster", "micro_batches", "lora_rank")
        words: dict[str, Any] = {
            _API_WORDS.get(name, name): tuple(value) if isinstance(value, list) else value
            for name, value in self.words.items()
            if name != "participants" and (value is not None or name in may_be_none)
        }
        path = self.words["participants"]
        if path is None:
            return words, None
        from solver.participation.document import read_participants

        file = read_participants(path)
        known = inspect.signature(api.problem).parameters
        said = {_API_WORDS.get(name, name) for name in self.given}
        words |= {word: value for word, value in file.words().items() if word in known and word not in said}
        for word, reference in (("workload", file.workload), ("cluster", file.cluster)):
            words[word] = words[word] or from_here(reference.name, path.parent)
        return words, file


def from_here(name: str, base: Path) -> str:
    """Return how a reference of a file reads here: a name stays, a path is relative to the file."""
    is_path = "/" in name or name.endswith((".json", ".yaml", ".yml"))
    return str(base / name) if is_path else name


def asked_of(words: Mapping[str, Any]) -> Asked:
    """Return what is asked in Python, as the flags say it.

    Parameters
    ----------
    words
        Of :func:`solver.api.problem`, and ``participants``.

    Raises
    ------
    InputError
        With every word that there is not.
    """
    from solver import api

    known = inspect.signature(api.problem).parameters
    unknown = [word for word in words if word != "participants" and (word == "out" or word not in known)]
    if unknown:
        raise InputError([Fault(word, "there is no such word") for word in unknown], "what is asked")
    flags = {word: flag for flag, word in _API_WORDS.items()}
    values = {
        word: words.get(word, None if one.default is one.empty else one.default)
        for word, one in known.items()
        if word != "out"
    }
    said = {flags.get(word, word): _as_flag(value) for word, value in values.items()}
    given = frozenset(flags.get(word, word) for word in words)
    participants = words.get("participants")
    return Asked(said | {"participants": None if participants is None else Path(participants)}, given)


def _as_flag(value: Any) -> Any:
    """Return a value as the command line has it."""
    if isinstance(value, Path):
        return str(value)
    return (list(value) or None) if isinstance(value, list | tuple) else value
