"""Memory: bytes of the tensors a worker holds, counted by storage in the order of its list."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from torch import Tensor


class Meter:
    """Counts bytes held now and at most.

    A storage that is held twice counts once, until it is released twice.
    """

    def __init__(self) -> None:
        self.held_bytes = 0
        self.peak_bytes = 0
        self._uses: dict[Hashable, list[int]] = {}

    def hold(self, key: Hashable, num_bytes: int) -> None:
        """Hold something once more.

        Parameters
        ----------
        key
            What it is.
        num_bytes
            Its size.
        """
        entry = self._uses.get(key)
        if entry is not None:
            entry[0] += 1
            return
        self._uses[key] = [1, num_bytes]
        self.take(num_bytes)

    def release(self, key: Hashable) -> int:
        """Give one use back; return the bytes that nobody holds any longer."""
        entry = self._uses[key]
        entry[0] -= 1
        if entry[0]:
            return 0
        del self._uses[key]
        self.held_bytes -= entry[1]
        return entry[1]

    def release_all(self, keys: Iterable[Hashable]) -> int:
        """Give one use of each back; return the bytes that nobody holds any longer."""
        return sum(self.release(key) for key in keys)

    def take(self, num_bytes: int) -> None:
        """Hold bytes that have no name; negative: give them back."""
        self.held_bytes += num_bytes
        self.peak_bytes = max(self.peak_bytes, self.held_bytes)


def storage_of(tensor: Tensor) -> int:
    """Return what identifies the storage of a tensor while it lives."""
    identity: int = tensor.untyped_storage()._cdata
    return identity


def size_of(tensor: Tensor) -> int:
    """Return the bytes of the storage of a tensor."""
    return tensor.untyped_storage().nbytes()
