"""Group caps: how many samples of a micro-batch a device can take on a stage below a limit on its lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from solver.plan import Group
from solver.problem import Problem
from solver.program import Floats, Longs
from solver.search.chains.chain import Bools, ChainTables
from solver.search.incumbent import Search


@dataclass(frozen=True)
class GroupCaps:
    """Least loads of every device on every stage, for every number of samples of a micro-batch.

    Parameters
    ----------
    problem
        What is decided; a chain that is trained.
    num_micro_batches
        Micro-batches of a step.
    search
        Says when it is time to stop; ``None``: never.

    Notes
    -----
    D devices, L blocks, N samples of a micro-batch; a stage [h, i) holds the blocks from h to i - 1. Loads
    are least ones: every message takes the device's best link, and is one message. Memory is that at the
    stage's depth, or at depth 1 where solvers may choose the in-flight cap.
    """

    problem: Problem
    num_micro_batches: int
    search: Search | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of the tables: a load in 8, and a mark for every depth."""
        cells = (self.samples + 1) * len(self.devices) * (self.num_blocks + 1) ** 2
        return cells * (8 + self.max_depth + 1)

    @property
    def samples(self) -> int:
        """N."""
        return self.problem.job.batch // self.num_micro_batches

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the D devices."""
        return self.problem.usable

    @property
    def num_blocks(self) -> int:
        """L."""
        return len(self.problem.workload.order)

    @property
    def max_depth(self) -> int:
        """Most stages a plan can have."""
        return min(len(self.devices), self.num_blocks)

    def _tables(self, samples: int) -> ChainTables:
        job = self.problem.job.model_copy(update={"batch": samples * self.num_micro_batches})
        return ChainTables(replace(self.problem, job=job, num_micro_batches=None), self.num_micro_batches)

    @cached_property
    def _parts(self) -> tuple[Floats, Bools]:
        """(N + 1, D, L + 1, L + 1): busiest lane, seconds; (N + 1, D, depths, L + 1, L + 1): does it fit."""
        shape = len(self.devices), self.num_blocks + 1, self.num_blocks + 1
        loads = np.zeros((self.samples + 1, *shape))
        fits = np.ones((self.samples + 1, shape[0], self.max_depth + 1, *shape[1:]), bool)
        for n in range(1, self.samples + 1):
            if self.search is not None:
                self.search.tick(0)
            tables = self._tables(n)
            loads[n], fits[n] = _load_s(tables), tables.fits
        if self.problem.in_flight == "free":
            fits[:, :, 1:] = fits[:, :, 1:2]
        return loads, fits

    @cached_property
    def low_s(self) -> float:
        """Seconds per micro-batch that no bottleneck is below: all work on all devices at once."""
        whole = self._parts[0][-1, :, 0, -1]
        return 0.0 if (whole <= 0).any() else float(1 / (1 / whole).sum()) * (1 - 1e-12) / self.samples

    def caps(self, limit_s: float) -> Longs:
        """Return how many samples a device can take on a stage below a limit.

        Parameters
        ----------
        limit_s
            Largest busy time of a lane per micro-batch, seconds.

        Returns
        -------
        array
            (depths, L + 1, L + 1, D); depth 0 is not used.
        """
        loads, fits = self._parts
        found = np.zeros(fits.shape[1:], np.int64)
        for n in range(1, self.samples + 1):
            found[(loads[n] <= limit_s)[:, None] & fits[n]] = n
        return np.ascontiguousarray(found.transpose(1, 2, 3, 0))

    def shares(
        self, group: list[int], start: int, end: int, depth: int, limit_s: float
    ) -> dict[str, int | Group]:
        """Share a micro-batch out over a group so that its busiest lane is least busy.

        Parameters
        ----------
        group
            Numbers of devices.
        start, end, depth
            The stage.
        limit_s
            Some shares keep it.

        Notes
        -----
        One sample at a time goes where it costs least; exact where loads grow with the samples.
        """
        loads, fits = self._parts
        given = dict.fromkeys(group, 0)
        for _ in range(self.samples):
            room = [
                d
                for d in group
                if fits[given[d] + 1, d, depth, start, end] and loads[given[d] + 1, d, start, end] <= limit_s
            ]
            place = min(room, key=lambda d: (loads[given[d] + 1, d, start, end], d))
            given[place] += 1
        shares: dict[str, int | Group] = {self.devices[d]: n for d, n in sorted(given.items()) if n}
        return shares


def _load_s(tables: ChainTables) -> Floats:
    """Return the busiest lane of every stage of one device where all messages take its best link, seconds."""
    message = tables.message_s
    if len(tables.devices) == 1:
        return tables.compute_s
    apart = np.where(np.eye(len(tables.devices), dtype=bool)[:, :, None], np.inf, message)
    out, into = apart.min(axis=1), apart.min(axis=0)
    back = tables.gradients
    send = out[:, None, :] + np.where(back, out, 0.0)[:, :, None]
    receive = into[:, :, None] + np.where(back, into, 0.0)[:, None, :]
    if tables.problem.settings.overlap:
        lanes: Floats = np.maximum(tables.compute_s, np.maximum(send, receive))
        return lanes
    loads: Floats = tables.compute_s + send + receive
    return loads
