"""Settings of the evaluator: explicit, so that a published instance's cost rule is another setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """How plans are costed.

    Parameters
    ----------
    rule
        ``program``: every computation and message is an instruction with a duration of its own;
        ``piper``, ``pipedream``: the published closed form of the load of a stage, see
        :mod:`solver.lowering.stage_loads`.
    overlap
        Whether a device computes, sends and receives at once; off: the three are one lane.
    prefetch
        How many computations ahead of its use a receive is posted at the latest.
    sync
        Whether gradient synchronisation and the weight update are part of a step.
    transfers
        ``link``: a message occupies the link between its devices; ``host``: devices copy outputs to and
        from host memory within their computations, see :mod:`solver.lowering.host_copies`; ``blocking``: a
        message stops the computations of both its ends, see :mod:`solver.lowering.blocking`.
    collectives
        ``lanes``: collectives inside a stage go through the lanes of messages, in one order with them;
        ``channel``: through a channel of their own, as with a library that gives each group its own.
    memory
        What counts against a device's memory: ``all``, or ``weights`` alone.
    message_s
        Time every message costs beside its way, as that of a host which waits for it.
    runtime_bytes
        Memory the runtime itself takes on every device that holds weights, as the context of a GPU.
    weight_copies
        Copies of trained weights it holds beside weights, gradients and optimizer states, in bytes for each
        byte of trained weights: mixed precision has weights and gradients in half precision as well.
    """

    rule: Literal["program", "piper", "pipedream"] = "program"
    overlap: bool = True
    prefetch: int = 2
    sync: bool = True
    transfers: Literal["link", "host", "blocking"] = "link"
    collectives: Literal["lanes", "channel"] = "lanes"
    memory: Literal["all", "weights"] = "all"
    message_s: float = 0.0
    runtime_bytes: float = 0.0
    weight_copies: float = 0.0

    def held_bytes(self, trained_bytes: int) -> int:
        """Return the memory of a device that the runtime itself holds, bytes.

        Parameters
        ----------
        trained_bytes
            Size of its trained weights.
        """
        return round(self.runtime_bytes + self.weight_copies * trained_bytes)
