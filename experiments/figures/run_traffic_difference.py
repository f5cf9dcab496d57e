"""Bytes the executor sent beyond those in the Program, over all links of three plans; exactly none."""

from __future__ import annotations

from experiments.figures import Figure
from experiments.figures._runs import padded


def measure() -> Figure:
    links = [
        pair for result in padded().values() for pair in result.to_json()["traffic_by_link_bytes"].values()
    ]
    return Figure(
        value=float(sum(abs(pair["measured"] - pair["predicted"]) for pair in links)),
        unit="bytes",
        baseline=float(sum(pair["predicted"] for pair in links)),
        baseline_is="all bytes of a step of the three plans",
        lower_is_better=True,
        goal=0.0,
        details={"links": len(links)},
    )
