r"""Torchrun: the same workers on several machines, started by torch's own launcher.

On every machine, with as many processes in total as the plan has devices::

    torchrun --nnodes 4 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:PORT \
        -m solver.execution.torchrun plan.json --mode raw --out run

The process of rank k plays the k-th device of the cluster that takes part. The first one prints the result as
JSON. A worker that fails leaves its own ``trace.DEVICE.json`` and its state.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from models import catalog
from models.document import dump_json, read, validate, write_text
from models.errors import Fault, InputError
from solver.errors import PartageError, RunError, WorkerError
from solver.evaluate import evaluate
from solver.execution.checkpoint import FOLDER
from solver.execution.interpreter import words
from solver.execution.order import Order
from solver.execution.pool import Outcome
from solver.execution.run import LIMIT_S, RunResult, checkpoint_words, trace_of
from solver.execution.session import Session
from solver.execution.support import check_executable
from solver.execution.transport import LinkError, Transport
from solver.execution.wires import default_group
from solver.execution.worklist import members
from solver.plan import Plan
from solver.report import Report


class ConsoleChannel:
    """Tells a person, on standard error, what the first worker reports."""

    def __init__(self) -> None:
        self.step, self.index = -1, -1
        self.stopping = threading.Event()

    def beat(self, step: int, index: int) -> None:
        """Remember the instruction."""
        self.step, self.index = step, index

    def report(self, event: dict[str, Any]) -> None:
        """Print a step and its loss."""
        is_step = "loss" in event
        text = f"step {event['step']}: loss {event['loss']:.6f}" if is_step else checkpoint_words(event)
        print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play one device; return the exit code.

    Parameters
    ----------
    arguments
        Words of the command line; the process's own if ``None``.
    """
    parser = argparse.ArgumentParser(
        prog="python -m solver.execution.torchrun", description="Train by a plan."
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mode", choices=("padded", "raw"), default="raw")
    parser.add_argument("--dilation", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="longest wait for a message, seconds")
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        return _play(chosen)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except PartageError as error:
        print(error, file=sys.stderr, flush=True)
        # Peers wait until this process's sockets close; threads in gloo would keep it alive.
        os._exit(3)


def _play(chosen: argparse.Namespace) -> int:
    plan = validate(Plan, read(chosen.plan), str(chosen.plan))
    workload = catalog.workload(plan.workload.name, chosen.plan.parent)
    cluster = catalog.cluster(plan.cluster.name, chosen.plan.parent)
    report = evaluate(plan, workload, cluster)
    check_executable(plan, workload, cluster)
    devices = members(report.program)
    process_rank = _place(len(devices))
    order = Order.of(
        plan,
        workload,
        cluster,
        steps=chosen.steps,
        mode=chosen.mode,
        dilation=chosen.dilation,
        seed=chosen.seed,
        learning_rate=chosen.learning_rate,
        reference=not chosen.no_reference,
        limit_s=chosen.limit,
        checkpoint=str(chosen.out / FOLDER) if chosen.out is not None else None,
    )
    dist.init_process_group("gloo", timeout=timedelta(seconds=chosen.limit))
    channel = ConsoleChannel()
    session = Session(order, process_rank, channel, partial(Transport, group=default_group()))
    signal.signal(signal.SIGTERM, _stop)
    try:
        reports = _gather(session.run(), devices, process_rank)
    except (RunError, RuntimeError, TimeoutError) as error:
        raise _failed(session, channel, order, report, error, chosen.out) from error
    dist.destroy_process_group()
    if process_rank == 0:
        reports[devices[0]] |= session.compare()
        result = _result(order, report, reports)
        print(dump_json(result.to_json()), end="")
        if chosen.out is not None:
            result.trace.write(chosen.out / "trace.json")
    return 0


def _stop(number: int, frame: object) -> None:
    raise RunError("the launcher ended this worker: another one failed, or it was told to stop")


def _place(num_devices: int) -> int:
    """Return the process rank the launcher gives; the number of processes must be that of the devices."""
    missing = [
        name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]
    if missing:
        message = f"{', '.join(missing)} not set; start it by torchrun"
        raise InputError([Fault("environment", message)], "torchrun")
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size != num_devices:
        message = f"the plan uses {num_devices} devices, torchrun started {size} processes"
        raise InputError([Fault("environment.WORLD_SIZE", message)], "torchrun")
    return rank


def _gather(report: dict[str, Any], devices: Sequence[str], process_rank: int) -> dict[str, dict[str, Any]]:
    """Bring all reports to the first worker, as JSON."""
    text = torch.frombuffer(bytearray(json.dumps(report).encode()), dtype=torch.uint8)
    if process_rank != 0:
        dist.send(torch.tensor([len(text)]), 0)
        dist.send(text, 0)
        return {}
    found = {devices[0]: report}
    for rank, name in enumerate(devices[1:], start=1):
        size = torch.empty(1, dtype=torch.int64)
        dist.recv(size, rank)
        content = torch.empty(int(size.item()), dtype=torch.uint8)
        dist.recv(content, rank)
        found[name] = json.loads(bytes(content.tolist()))
    return found


def _result(order: Order, report: Report, reports: dict[str, dict[str, Any]]) -> RunResult:
    trace = trace_of(order, report.program, Outcome(reports))
    first = reports[members(report.program)[0]]
    return RunResult(report, trace, first.get("max_relative_weight_difference"))


def _failed(
    session: Session,
    channel: ConsoleChannel,
    order: Order,
    report: Report,
    error: Exception,
    out: Path | None,
) -> WorkerError:
    """Leave what this worker has; return the error that names the worker to blame."""
    # The launcher ends all processes when one has failed; this one first writes down what it knows.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if out is not None:
        session.save()
        trace = trace_of(order, report.program, Outcome({session.device: session.report()}))
        text = dump_json(trace.to_json() | {"failure": {"device": session.device, "reason": str(error)}})
        write_text(out / f"trace.{session.device}.json", text, overwrite=True)
    last = words(report.program.instruction(channel.index)) if channel.index >= 0 else "none yet"
    peer = error.peer if isinstance(error, LinkError) else session.device
    reason = f"gave no answer to {session.device}" if peer != session.device else "failed"
    return WorkerError(peer, f"{last} (on {session.device})", f"{reason}: {error}")


if __name__ == "__main__":
    sys.exit(main())
