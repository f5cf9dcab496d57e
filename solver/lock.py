"""Lock: a folder that one process alone writes into. A process that is gone holds nothing."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from models.errors import Fault, InputError

LOCK = ".lock"


class FolderLock:
    """A folder, held by this process from now until :meth:`close`.

    Parameters
    ----------
    folder
        Made if it is missing.
    work
        What is done in it, for the message to a second process.

    Raises
    ------
    InputError
        If another process holds it, or it cannot be written.
    """

    def __init__(self, folder: Path, work: str) -> None:
        self._path = folder / LOCK
        self._held = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            while not self._took():
                pass
        except BlockingIOError:
            who = os.pread(self._held, 100, 0).decode("ascii", "replace").strip()
            os.close(self._held)
            message = (
                f"another {work} (process {who}) is writing into {folder}; wait until it ends, "
                "or give another folder"
            )
            raise InputError([Fault("--out", message)], work) from None
        except OSError as error:
            raise InputError([Fault("--out", f"cannot write into {folder}: {error}")], work) from None

    def _took(self) -> bool:
        """Lock the file; ``False`` if its last holder took it away in between."""
        self._held = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            there = os.path.samestat(os.fstat(self._held), self._path.stat())
        except FileNotFoundError:
            there = False
        if not there:
            os.close(self._held)
            return False
        os.ftruncate(self._held, 0)
        os.pwrite(self._held, f"{os.getpid()}\n".encode(), 0)
        return True

    def close(self) -> None:
        """Let others write; nothing of the lock is left."""
        if self._held >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._held)
        self._held = -1

    def __enter__(self) -> FolderLock:
        """Return the lock."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others write."""
        self.close()
