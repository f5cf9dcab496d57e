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
    memory
        What counts against a device's memory: ``all``, or ``weights`` alone.
    message_s
        Time every message costs beside its way, as that of a host which waits for it.
    """

    rule: Literal["program", "piper", "pipedream"] = "program"
    overlap: bool = True
    prefetch: int = 2
    sync: bool = True
    transfers: Literal["link", "host", "blocking"] = "link"
    memory: Literal["all", "weights"] = "all"
    message_s: float = 0.0
