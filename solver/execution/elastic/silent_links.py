"""Silent links: whom to give up when two devices live, and nothing that they send each other arrives."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

GATHER_S = 0.3
"""From the first lost message to the decision: a device that lost several links is seen as one."""

BARRED_S = 10.0
"""How long a device that was given up for a silent link stays away; twice as long every further time."""


class SilentLinks:
    """What is known of links that are silent though both their ends live."""

    def __init__(self) -> None:
        self._found: dict[frozenset[str], float] = {}
        self._until: dict[str, float] = {}
        self._times: dict[str, int] = {}

    def note(self, one: str, other: str, now_s: float) -> None:
        """Note that a message was lost between two devices."""
        self._found.setdefault(frozenset((one, other)), now_s)

    def forget(self) -> None:
        """Begin anew, with a new generation."""
        self._found.clear()

    def worst(
        self, now_s: float, present: Collection[str], cost: Callable[[str], float]
    ) -> tuple[str, list[str]] | None:
        """Return the device to give up and the other ends of its silent links; ``None`` for nobody now.

        Parameters
        ----------
        now_s
            The time.
        present
            Devices that take part.
        cost
            What a step costs without a device; infinite if nothing goes on without it.

        Notes
        -----
        The one with the most silent links; of equals the one that is missed least.
        """
        links = [sorted(link) for link in self._found if link <= set(present)]
        if not links or now_s - min(self._found.values()) < GATHER_S:
            return None
        ends = [name for link in links for name in link]
        most = max(ends.count(name) for name in ends)
        worst = min((name for name in set(ends) if ends.count(name) == most), key=lambda n: (cost(n), n))
        return worst, sorted(name for link in links if worst in link for name in link if name != worst)

    def bar(self, device: str, now_s: float) -> None:
        """Keep a device away for a time: it would be given up again at once."""
        times = self._times.get(device, 0)
        self._until[device] = now_s + BARRED_S * 2**times
        self._times[device] = times + 1

    def is_barred(self, device: str, now_s: float) -> bool:
        """Return whether a device has to stay away."""
        return now_s < self._until.get(device, -math.inf)

    def pardon(self) -> None:
        """Let everybody in again: somebody has what nobody else has."""
        self._until.clear()
