"""Worker: a long-lived process of the local pool that plays one device in one run after another."""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from solver.execution.elastic.gate import Gate
from solver.execution.workers.board import Board

_BEAT_S = 0.2


class PoolChannel:
    """Tells the pool what this worker does.

    Parameters
    ----------
    connection
        To the pool.
    board, place
        Where it notes what it begins.
    """

    def __init__(self, connection: Connection, board: Board, place: int) -> None:
        self.connection, self.board, self.place = connection, board, place
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def beat(self, step: int, index: int) -> None:
        """Note an instruction."""
        self.board.begin(self.place, step, index)

    def report(self, event: dict[str, Any]) -> None:
        """Send an event as JSON."""
        with self._lock:
            self.connection.send_bytes(json.dumps(event).encode())


def main(handles: Sequence[int], numbers: Sequence[int]) -> None:
    """Serve the pool until it goes away.

    Parameters
    ----------
    handles
        File descriptors of the connection to the pool, and of the board.
    numbers
        Place on the board, and how many places it has.
    """
    place, num_places = numbers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection, board = Connection(handles[0]), Board(handles[1], num_places)
    channel = PoolChannel(connection, board, place)
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    gate = Gate()
    threading.Thread(target=_listen, args=(connection, orders, channel, gate), daemon=True).start()
    threading.Thread(target=_live, args=(board, place), daemon=True).start()
    while True:
        told = orders.get()
        if "elastic" in told:
            from solver.execution.elastic.member import serve

            serve(told["elastic"], gate)
        else:
            _serve(told, channel)


def _listen(
    connection: Connection, orders: queue.SimpleQueue[dict[str, Any]], channel: PoolChannel, gate: Gate
) -> None:
    """Pass orders on; when the pool is gone, so is the worker, whatever it does."""
    try:
        while True:
            told = json.loads(connection.recv_bytes())
            if "stop" in told:
                channel.stopping.set()
            elif "gate" in told:
                (gate.open if told["gate"] == "open" else gate.shut)(told.get("peer"))
            else:
                channel.stopping.clear()
                orders.put(told)
    except (EOFError, OSError):
        os._exit(0)


def _live(board: Board, place: int) -> None:
    while True:
        board.live(place)
        time.sleep(_BEAT_S)


def _serve(told: dict[str, Any], channel: PoolChannel) -> None:
    """Do one run; after a failure the process ends, since nothing can be said of its links."""
    import torch.distributed as dist

    from solver.execution.network.transport import LinkError, Transport
    from solver.execution.network.wires import Wires
    from solver.execution.order import Order
    from solver.execution.workers.session import Session

    session = None
    try:
        order = Order(**told["order"])
        num_processes = told["num_processes"]
        group = None
        if num_processes > 1:
            store = dist.FileStore(told["store"], num_processes)  # type: ignore[attr-defined]
            group = Wires(store, told["process_rank"], num_processes, order.limit_s).group
        session = Session(order, told["process_rank"], channel, partial(Transport, group=group))
        report = session.run()
        channel.report({"done": report | session.compare()})
    except BaseException as error:
        failed: dict[str, Any] = {
            "reason": f"{type(error).__name__}: {error}",
            "peer": error.peer if isinstance(error, LinkError) else None,
            "trace": traceback.format_exc(),
            "report": None,
        }
        # Peers notice at once that this worker is gone only when its sockets close, so leave soon.
        if session is not None:
            failed["report"] = session.report()
            _save(session, failed)
        channel.report({"failed": failed})
        os._exit(1)


def _save(session: Any, failed: dict[str, Any]) -> None:
    try:
        session.save()
    except OSError as error:
        failed["reason"] += f"; its checkpoint could not be written: {error}"
