"""What ``run --elastic`` does: train on when devices leave and come back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.document import write_text
from models.errors import Fault
from solver.verbs.common import console, print_json, say

if TYPE_CHECKING:
    from solver.loading import Loaded


def elastic_faults(policy: str | None, respawn: float | None, *, elastic: bool) -> Iterator[Fault]:
    """Yield what is wrong with the words that belong to elastic runs, or do not go with them."""
    from solver.repair.policy import POLICIES

    if not elastic:
        for word, value in (("--policy", policy), ("--respawn", respawn)):
            if value is not None:
                yield Fault(word, "it belongs to elastic runs; give --elastic too")
        return
    if policy is not None and policy not in POLICIES:
        yield Fault("--policy", f"no policy {policy!r}; there are: {', '.join(POLICIES)}")
    if respawn is not None and not respawn >= 0:
        yield Fault("--respawn", f"{respawn} is no number of seconds")


def run_elastically(
    loaded: Loaded,
    policy: str | None,
    respawn: float | None,
    out: Path | None,
    *,
    force: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Run it, show it, and write it.

    Parameters
    ----------
    loaded
        The plan.
    policy, respawn
        How plans are repaired, and seconds until a process that died is started again.
    out, force
        Folder for ``elastic.json``, page and plan, and whether they may be replaced.
    as_json
        Whether the result is printed as JSON.
    words
        Others of :func:`solver.execution.elastic.run.run_elastic`.
    """
    from solver.execution.elastic.run import run_elastic
    from solver.progress import training
    from solver.repair.policy import Repair
    from solver.reporting.elastic import elastic_page, event_words, print_elastic

    repair = Repair(policy=policy or "cheapest", seed=words["seed"] or 0)  # type: ignore[arg-type]
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(training(words["steps"]))

        def hear(event: dict[str, Any]) -> None:
            if "loss" in event:
                progress(event["step"], event["loss"])
            elif words := event_words(event):
                say(words)

        result = run_elastic(
            loaded.plan,
            loaded.workload,
            loaded.cluster,
            repair=repair,
            respawn_s=respawn,
            out=out,
            overwrite=force,
            on_event=hear,
            **words,
        )
    if out is not None:
        write_text(out / "plan.json", loaded.at(out).to_json(), overwrite=force)
        write_text(out / "elastic.html", elastic_page(out), overwrite=force)
        say(f"elastic.json and elastic.html written to {out}")
    if as_json:
        print_json(result.to_json())
    else:
        print_elastic(console(140), result.to_json())
