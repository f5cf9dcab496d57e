"""Ledger: groups that were planned for, one a line, so that long work goes on where it was broken off."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import Fault, InputError
from solver.participation.coalitions import Coalitions
from solver.participation.kinds import Counts
from solver.plan import Plan


class Ledger:
    """A file of plans by objective and group; a last line that was not written whole is left out.

    Parameters
    ----------
    path
        The file.
    asked
        What was asked: a file of another question is a fault.

    Raises
    ------
    InputError
        If the file is one of another question, or cannot be read or written.
    """

    def __init__(self, path: Path, asked: dict[str, Any]) -> None:
        self.path = path
        head = json.dumps(asked, sort_keys=True)
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            lines = text[: text.rfind("\n") + 1].splitlines()
            if lines and lines[0] != head:
                message = f"{path} is of another question; move it away to begin anew"
                raise InputError([Fault("", message)], str(path))
            self._lines = [json.loads(line) for line in lines[1:]]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in (lines or [head])), encoding="utf-8")
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError([Fault("", f"{path} cannot be gone on with: {error}")], str(path)) from None

    def replay(self, objective: str, coalitions: Coalitions) -> int:
        """Take note of what was planned before, in its order; return how many groups.

        Parameters
        ----------
        objective
            Whose groups.
        coalitions
            Where they are noted.
        """
        mine = [line for line in self._lines if line["objective"] == objective]
        for line in mine:
            coalitions.asked.add((tuple(line["counts"]), line["everyone"]))
            if line["plan"] is not None:
                coalitions.hear(Plan.model_validate(line["plan"]))
        return len(mine)

    def writer(self, objective: str) -> Callable[[Counts, bool, Plan | None], None]:
        """Return what writes a line for every group that is planned for."""

        def note(counts: Counts, everyone: bool, plan: Plan | None) -> None:
            data = None if plan is None else plan.model_dump(mode="json", exclude_defaults=True)
            line = {"objective": objective, "counts": counts, "everyone": everyone, "plan": data}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")

        return note

    def done(self) -> None:
        """Take the file away."""
        self.path.unlink(missing_ok=True)
