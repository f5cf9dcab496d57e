"""Chain: phases one after the other in one folder; what is there is kept, what a person changed is respected.

::

    run/
        1_cluster.yaml  2_participants.json  3_plan.json  4_deployment/  5_training/
        phases.json     what made each part: words, digests, seconds, figures
        report.html

A part is kept if it is the one that was made from the same words and from the same parts before it. One that
a person has put there or edited is theirs: it stays, and what follows is made anew.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.document import Document, dump_json, read, validate, write_text
from models.errors import Fault, InputError, PartageError

LEDGER = "phases.json"
NOT_THERE = "not there yet"
State = Literal["made", "kept", "yours"]


class Entry(Document):
    """How a part came to be.

    Parameters
    ----------
    words
        What was asked for it.
    before
        Digests of the parts it was made from.
    sha256
        Of the part.
    state
        ``made`` by its phase, or ``yours``.
    wall_s
        Seconds it took.
    figures
        What came of it.
    """

    words: dict[str, Any]
    before: tuple[str, ...] = ()
    sha256: str
    state: Literal["made", "yours"] = "made"
    wall_s: float = 0.0
    figures: dict[str, Any] = Field(default_factory=dict)


class Ledger(Document):
    """All parts of a folder.

    Parameters
    ----------
    version
        Of this format.
    begun
        Phase in work: what lies there in its place is not whole if the call ended.
    phases
        How the parts came to be, by phase.
    """

    version: Literal[1] = 1
    begun: str | None = None
    phases: dict[str, Entry] = Field(default_factory=dict)


class NoAnswer(PartageError):
    """A phase has no answer: no group, or no plan, keeps every limit."""


@dataclass(frozen=True)
class Phase:
    """One phase.

    Parameters
    ----------
    name
        As its verb.
    part
        File or folder it leaves.
    words
        What decides it, as plain data.
    make
        Makes the part, in the place of an old one, and returns what came of it.
    tell
        Reads what came of a part that is there.
    digest
        Returns what stands for the part's content; ``None`` if there is none, or it is not whole.
    """

    name: str
    part: str
    words: Mapping[str, Any]
    make: Callable[[], dict[str, Any]]
    tell: Callable[[], dict[str, Any]]
    digest: Callable[[Path], str | None]


@dataclass(frozen=True)
class Done:
    """What became of one phase in this call.

    Parameters
    ----------
    name, part
        The phase, and the path of its part.
    state
        ``made`` now, ``kept`` from an earlier call, or ``yours``.
    why
        Why it was made, or kept.
    wall_s
        Seconds that making it took, in whichever call.
    figures
        What came of it.
    """

    name: str
    part: Path
    state: State
    why: str
    wall_s: float
    figures: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**vars(self), "part": str(self.part)}


class Chain:
    """The phases of one folder.

    Parameters
    ----------
    folder
        Made if missing.
    phases
        In their order.
    say
        Told what is done, and why.
    force
        Whether parts that were made for other words may be replaced.
    origins
        Where parts that a person gave by other words are from, by part; others they put there or changed.

    Raises
    ------
    InputError
        If the folder's ledger is damaged.

    Attributes
    ----------
    done
        What became of the phases so far.
    """

    def __init__(
        self,
        folder: Path,
        phases: Sequence[Phase],
        say: Callable[[str], None],
        *,
        force: bool,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.phases, self.say, self.force = folder, phases, say, force
        self.origins = origins or {}
        self.done: list[Done] = []
        path = folder / LEDGER
        self.ledger = validate(Ledger, read(path), str(path)) if path.exists() else Ledger()

    def run(self, only: str | None = None, until: str | None = None) -> None:
        """Do what is missing.

        Parameters
        ----------
        only
            The one phase to do; all parts before it must be there.
        until
            The last phase to do.

        Raises
        ------
        InputError
            If a part was made for other words and may not be replaced, or one before ``only`` is missing.
        """
        last = only or until or self.phases[-1].name
        wanted = self.phases[: [phase.name for phase in self.phases].index(last) + 1]
        self._check(wanted, only)
        before: list[str] = []
        for phase in wanted:
            self.done.append(self._do(phase, tuple(before), allowed=only in (None, phase.name)))
            before.append(self.ledger.phases[phase.name].sha256)

    def _check(self, wanted: Sequence[Phase], only: str | None) -> None:
        """Refuse before anything is done."""
        faults = []
        for phase in wanted:
            entry, there = self.ledger.phases.get(phase.name), phase.digest(self.folder / phase.part)
            if only not in (None, phase.name) and there is None:
                message = f"{phase.part} is missing; --only {only} needs it: do phase {phase.name} first"
                faults.append(Fault("--only", message))
            if entry is not None and there == entry.sha256 and entry.state == "made" and not self.force:
                faults += [
                    Fault(
                        f"--{word.replace('_', '-')}",
                        f"{phase.part} was made with {_shown(old)}, not {_shown(new)}",
                    )
                    for word, old, new in _changes(entry.words, phase.words)
                ]
        if faults:
            what = f"{self.folder} (give the same words, another --out, or --force to make it anew)"
            raise InputError(faults, what)

    def _do(self, phase: Phase, before: tuple[str, ...], *, allowed: bool) -> Done:
        path, entry = self.folder / phase.part, self.ledger.phases.get(phase.name)
        there = phase.digest(path)
        words = _plain(phase.words)
        if self.ledger.begun == phase.name:
            there, entry = None, None
        if there is not None and (entry is None or there != entry.sha256 or entry.state == "yours"):
            figures = phase.tell()
            mine = self.origins.get(phase.part) or _whose(entry, there)
            why = f"{mine}; what follows is made from it"
            self._note(phase, Entry(words=words, before=before, sha256=there, state="yours", figures=figures))
            self.say(f"{phase.name}: {phase.part} is yours: {why}")
            return Done(phase.name, path, "yours", why, 0.0, figures)
        reason = _reason(entry, there, words, before)
        if not reason or not allowed:
            assert entry is not None
            why = "made from the same words and parts" if not reason else f"not asked for, though {reason}"
            self.say(f"{phase.name}: {phase.part} is kept")
            return Done(phase.name, path, "kept", why, entry.wall_s, entry.figures)
        self.say(f"{phase.name}: {reason}")
        began = time.monotonic()
        self._write(self.ledger.model_copy(update={"begun": phase.name}))
        figures = phase.make()
        made = phase.digest(path)
        assert made is not None
        wall_s = time.monotonic() - began
        entry = Entry(words=words, before=before, sha256=made, wall_s=wall_s, figures=figures)
        self._note(phase, entry)
        return Done(phase.name, path, "made", reason, wall_s, figures)

    def _note(self, phase: Phase, entry: Entry) -> None:
        self._write(Ledger(phases={**self.ledger.phases, phase.name: entry}))

    def _write(self, ledger: Ledger) -> None:
        self.ledger = ledger
        write_text(self.folder / LEDGER, dump_json(ledger.model_dump(mode="json")), overwrite=True)


def _whose(entry: Entry | None, there: str) -> str:
    """Return how a part that is a person's own came to be so."""
    if entry is None:
        return "you put it there"
    return "you changed it" if there != entry.sha256 else "you gave or changed it before"


def _reason(entry: Entry | None, there: str | None, words: Mapping[str, Any], before: tuple[str, ...]) -> str:
    """Return why a part has to be made; empty if it has not."""
    if entry is None:
        return NOT_THERE
    if there is None:
        return "made again, since its part is gone, not whole or not far enough"
    if changed := [word for word, _, _ in _changes(entry.words, words)]:
        return f"made anew, since {', '.join(changed)} changed"
    return "made anew, since a part before it has changed" if entry.before != before else ""


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    plain = _plain(new)
    return [
        (word, old.get(word), plain.get(word))
        for word in sorted({*old, *plain})
        if old.get(word) != plain.get(word)
    ]


def _plain(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return words as JSON has them."""
    return {
        word: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for word, value in words.items()
    }


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def digest_of_file(path: Path) -> str | None:
    """Return the sha256 of a file; ``None`` if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
