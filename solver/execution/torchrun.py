r"""Torchrun: the same workers on several machines, started by torch's own launcher.

On every machine, with as many processes in total as the plan has devices::

    torchrun --nnodes 4 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:PORT \
        -m solver.execution.torchrun plan.json --mode raw --out run

The process of rank k plays the k-th device of the cluster that takes part. Before anything starts, all
processes make sure that they have the same plan, workload, cluster, words and versions. The first one prints
the result as JSON and writes the checkpoints; a worker that fails leaves its own ``trace.DEVICE.json`` and
its state.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from models.document import dump_json, write_text
from models.errors import Fault, InputError
from solver.errors import PartageError, RunError, WorkerError
from solver.evaluate import evaluate
from solver.execution.begin import beginning, word_faults
from solver.execution.energy import trace_energy
from solver.execution.interpreter import words
from solver.execution.machine import about
from solver.execution.network.transport import LinkError, Transport
from solver.execution.network.wires import Wires
from solver.execution.order import Order
from solver.execution.passes.worklist import members
from solver.execution.run import LIMIT_S, RunResult, checkpoint_words, trace_of
from solver.execution.state.checkpoint import FOLDER
from solver.execution.state.deployment import deployed
from solver.execution.support import check_executable
from solver.execution.workers.handshake import Hello, agree
from solver.execution.workers.pool import Outcome
from solver.execution.workers.session import Session
from solver.loading import Loaded, load
from solver.report import Report

_REPORT = 2**30 + 3
"""Tag beyond those of a Program's instructions."""


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
    chosen = _parser().parse_args(arguments)
    try:
        return _play(chosen)
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        return 130
    except PartageError as error:
        print(error, file=sys.stderr, flush=True)
        # Peers wait until this process's sockets close; threads in gloo would keep it alive.
        os._exit(3)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m solver.execution.torchrun", description="Train by a plan."
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mode", choices=("padded", "raw"), default="raw")
    parser.add_argument("--dilation", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="longest wait for a message, seconds")
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--checkpoint-every", type=int, default=0)
    parser.add_argument("--keep-checkpoints", type=int, default=3)
    parser.add_argument(
        "--deployment", type=Path, help="begin with the weights of partage deploy; each machine, its own part"
    )
    parser.add_argument("--resume-from", type=Path, help="checkpoint or run, on the first machine")
    return parser


def _play(chosen: argparse.Namespace) -> int:
    process_rank, num_processes = _place()
    limit_s = chosen.limit if math.isfinite(chosen.limit) and chosen.limit > 0 else LIMIT_S
    store = _store(limit_s)
    loaded, report = None, None
    try:
        loaded, report = _read(chosen, process_rank, num_processes)
        hello = _hello(chosen, loaded, members(report.program)[process_rank], process_rank)
    except InputError as error:
        hello = Hello(fault=str(error))
    begin = agree(store, process_rank, num_processes, hello, limit_s).begin
    assert loaded is not None
    assert report is not None
    assert begin is not None
    if chosen.deployment is not None:
        begin = begin | {"deployment": str(chosen.deployment.resolve())}
    order = Order.of(
        loaded.plan,
        loaded.workload,
        loaded.cluster,
        steps=chosen.steps,
        mode=chosen.mode,
        dilation=chosen.dilation,
        reference=not chosen.no_reference,
        limit_s=chosen.limit,
        checkpoint=str((chosen.out / FOLDER).resolve()) if chosen.out is not None else None,
        keep=chosen.checkpoint_every > 0,
        checkpoint_every=chosen.checkpoint_every,
        keep_checkpoints=chosen.keep_checkpoints,
        **begin,
    )
    return _train(order, report, store, process_rank, num_processes, chosen.out)


def _train(
    order: Order, report: Report, store: Store, process_rank: int, num_processes: int, out: Path | None
) -> int:
    """Do this process's part of the run, and bring the reports to the first one."""
    devices = members(report.program)
    channel = ConsoleChannel()
    group = None
    if num_processes > 1:
        group = Wires(PrefixStore("wires", store), process_rank, num_processes, order.limit_s).group
    connect = partial(Transport, group=group)
    session = Session(order, process_rank, channel, connect)
    signal.signal(signal.SIGTERM, _stop)
    if out is not None:
        signal.signal(signal.SIGINT, lambda number, frame: channel.stopping.set())
    try:
        transport = connect(devices, devices[process_rank], order.limit_s)
        reports = _gather(session.run(), transport, devices, process_rank)
    except (RunError, RuntimeError, TimeoutError) as error:
        raise _failed(session, channel, order, report, error, out) from error
    if process_rank == 0:
        reports[devices[0]] |= session.compare()
        trace = trace_of(order, report.program, Outcome(reports))
        first = reports[devices[0]]
        energy = trace_energy(trace, session.plan, session.cluster, report.program)
        result = RunResult(report, trace, first.get("max_relative_weight_difference"), energy)
        print(dump_json(result.to_json()), end="")
        if out is not None:
            trace.write(out / "trace.json", overwrite=order.resume is not None)
    return 130 if session.stopped else 0


def _stop(number: int, frame: object) -> None:
    raise RunError("the launcher ended this worker: another one failed, or it was told to stop")


def _place() -> tuple[int, int]:
    """Return the process rank that the launcher gives, and the number of processes."""
    needed = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in needed if name not in os.environ]
    if missing:
        message = f"{', '.join(missing)} not set; start it by torchrun"
        raise InputError([Fault("environment", message)], "torchrun")
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def _store(limit_s: float) -> Store:
    """Return the place where all processes meet."""
    try:
        store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=limit_s)))
    except RuntimeError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        text = str(error)
        if "EADDRINUSE" in text or "address already in use" in text:
            message = f"port {os.environ['MASTER_PORT']} is in use on this machine; give another one"
            raise InputError([Fault("environment.MASTER_PORT", message)], "torchrun") from None
        reason = text.splitlines()[0]
        raise RunError(f"not all processes met at {where} within {limit_s:g} s: {reason}") from error
    found: Store = PrefixStore("partage", store)
    return found


def _read(chosen: argparse.Namespace, process_rank: int, num_processes: int) -> tuple[Loaded, Report]:
    """Return the plan and what it costs; raise with every fault of this process's input."""
    loaded = load(chosen.plan)
    report = evaluate(loaded.plan, loaded.workload, loaded.cluster)
    check_executable(loaded.plan, loaded.workload, loaded.cluster)
    faults = list(_faults(chosen, len(members(report.program)), process_rank, num_processes))
    if faults:
        raise InputError(faults, "torchrun")
    return loaded, report


def _faults(
    chosen: argparse.Namespace, num_devices: int, process_rank: int, num_processes: int
) -> Iterator[Fault]:
    if num_processes != num_devices:
        message = f"the plan uses {num_devices} devices, torchrun started {num_processes} processes"
        yield Fault("environment.WORLD_SIZE", message)
    if not (math.isfinite(chosen.limit) and chosen.limit > 0):
        yield Fault("--limit", f"a number of seconds above zero is needed (given: {chosen.limit})")
    if chosen.seed is not None and chosen.seed < 0:
        yield Fault("--seed", f"at least 0 is needed (given: {chosen.seed})")
    yield from word_faults(
        chosen.steps,
        chosen.mode,
        chosen.dilation,
        chosen.learning_rate,
        chosen.out,
        chosen.checkpoint_every,
        chosen.keep_checkpoints,
        overwrite=process_rank != 0 or chosen.resume_from is not None,
    )


def _hello(chosen: argparse.Namespace, loaded: Loaded, device: str, process_rank: int) -> Hello:
    versions = about()["versions"]
    facts = {name: loaded_part.digest[:16] for name, loaded_part in _documents(loaded)}
    facts |= {f"version of {name}": versions[name] for name in ("partage", "torch")}
    for word in ("steps", "mode", "dilation", "seed", "learning_rate", "no_reference", "checkpoint_every"):
        facts[f"--{word.replace('_', '-')}"] = str(getattr(chosen, word))
    facts["--out"] = "none" if chosen.out is None else "given"
    begin, facts["--deployment"] = None, "none"
    if chosen.deployment is not None:
        placed = deployed(chosen.deployment, loaded.plan, loaded.workload, chosen.seed, device)
        facts["--deployment"] = placed.digest[:16]
    if process_rank == 0:
        begin = beginning(
            chosen.resume_from,
            loaded.plan,
            loaded.workload,
            steps=chosen.steps,
            seed=chosen.seed,
            learning_rate=chosen.learning_rate,
            keeps=chosen.checkpoint_every > 0,
            deployment=chosen.deployment,
            device=device,
        )
    return Hello(facts, begin=begin)


def _documents(loaded: Loaded) -> Iterator[tuple[str, Any]]:
    yield "plan", loaded.plan
    yield "workload", loaded.workload
    yield "cluster", loaded.cluster


def _gather(
    report: dict[str, Any], transport: Transport, devices: Sequence[str], process_rank: int
) -> dict[str, dict[str, Any]]:
    """Bring all reports to the first worker, as JSON."""
    if process_rank != 0:
        text = torch.frombuffer(bytearray(json.dumps(report).encode()), dtype=torch.uint8)
        transport.tell_bytes(devices[0], _REPORT, text)
        transport.flush()
        return {}
    found = {devices[0]: report}
    for name in devices[1:]:
        found[name] = json.loads(bytes(transport.hear_bytes(name, _REPORT).numpy()))
    return found


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
    trouble = ""
    if out is not None:
        try:
            session.save()
        except OSError as broken:
            trouble = f"; its state could not be written: {broken}"
        trace = trace_of(order, report.program, Outcome({session.device: session.report()}))
        text = dump_json(trace.to_json() | {"failure": {"device": session.device, "reason": str(error)}})
        write_text(out / f"trace.{session.device}.json", text, overwrite=True)
    last = words(report.program.instruction(channel.index)) if channel.index >= 0 else "none yet"
    peer = error.peer if isinstance(error, LinkError) else session.device
    reason = f"gave no answer to {session.device}" if peer != session.device else "failed"
    return WorkerError(peer, f"{last} (on {session.device})", f"{reason}: {error}{trouble}")


if __name__ == "__main__":
    sys.exit(main())
