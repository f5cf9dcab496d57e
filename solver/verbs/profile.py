"""The verb ``profile``: measure this machine, and the links between machines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import Fault, InputError
from solver.verbs.common import Force, Json, out_faults, print_json, say

if TYPE_CHECKING:
    from models.nets.timing import NetTimes

NOISY = 0.2
"""Spread above which a block's times are called noisy."""


def profile(
    net: Annotated[str | None, typer.Option(help="Net of the catalogue whose blocks are timed here.")] = None,
    device_name: Annotated[str, typer.Option(help="Name of this machine on the card.")] = "this_machine",
    out: Annotated[Path | None, typer.Option(help="Card to write, .yaml.")] = None,
    sizes: Annotated[str, typer.Option(help="Batch sizes, increasing.")] = "1,2,4,8",
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds of each block and size.")] = 7,
    on: Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")] = "auto",
    time_limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which no larger size is begun.")
    ] = 300,
    power_log: Annotated[
        Path | None, typer.Option(help="Log of tegrastats or jtop that runs meanwhile; read at the end.")
    ] = None,
    idle: Annotated[float, typer.Option(min=0, help="Seconds to do nothing first, for idle power.")] = 10,
    busy: Annotated[
        float, typer.Option(min=0.1, help="Seconds of steady work at the end, for busy power.")
    ] = 10,
    like: Annotated[
        str | None, typer.Option(help="Card of the catalogue for what is not measured, as power.")
    ] = None,
    listen: Annotated[
        int | None, typer.Option(help="Answer the link probes of another machine here.")
    ] = None,
    peer: Annotated[
        str | None, typer.Option(help="HOST:PORT of a machine that listens; measure the link.")
    ] = None,
    peer_name: Annotated[str, typer.Option(help="Name of that machine.")] = "peer",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Measure this machine's blocks, memory and power, or a link; write what the planner reads."""
    chosen = [word for word in (net, listen, peer) if word is not None]
    faults = [] if len(chosen) == 1 else [Fault("", "give one of --net, --listen and --peer")]
    faults += list(out_faults(out, force=force, folder=False)) if out is not None else []
    if power_log is not None and not power_log.is_file():
        faults.append(Fault("--power-log", f"{power_log} is no file; start the logging program first"))
    if faults:
        raise InputError(faults, "profile")
    if listen is not None:
        _listen(listen, time_limit)
    elif peer is not None:
        text, data = _link(device_name, peer_name, peer, min(time_limit, 60))
        _give(text, data, out, force=force, as_json=as_json)
    else:
        power = _Power(power_log, idle, busy) if power_log is not None else None
        text, data = _machine(net or "", device_name, _sizes(sizes), rounds, on, time_limit, power, like)
        _give(text, data, out, force=force, as_json=as_json)


@dataclass(frozen=True)
class _Power:
    """A log that another program writes, and how long to rest and to work for it."""

    log: Path
    idle_s: float
    busy_s: float

    def wait(self) -> tuple[float, float]:
        """Do nothing; return when: (start, end), seconds since 1970."""
        say(f"idle for {self.idle_s:g} s")
        began = time.time()
        time.sleep(self.idle_s)
        return began, time.time()

    def read(self, idle: tuple[float, float], busy: tuple[float, float]) -> tuple[float | None, float | None]:
        """Return the mean power of both spans; ``None`` for idle power that was not asked for."""
        from models.power_log import mean_power_w, read_power_log

        samples = read_power_log(self.log)
        asked = {"idle": idle, "busy": busy} if self.idle_s else {"busy": busy}
        found = {word: mean_power_w(samples, [span]) for word, span in asked.items()}
        message = (
            "no sample lies in the {:.3g} s of {}; let the log run from before until after, or give more --{}"
        )
        faults = [
            Fault(
                "--power-log", f"{self.log}: " + message.format(asked[word][1] - asked[word][0], work, word)
            )
            for word, work in (("idle", "rest"), ("busy", "steady work"))
            if word in asked and found[word] is None
        ]
        if faults:
            raise InputError(faults, "profile")
        return found.get("idle"), found["busy"]


def _give(text: str, data: Any, out: Path | None, *, force: bool, as_json: bool) -> None:
    """Write the text to the file, or print it; with ``--json`` print the data."""
    from models.document import write_text

    if out is not None:
        write_text(out, text, overwrite=force)
        say(f"written to {out}")
    if as_json:
        print_json(data)
    elif out is None:
        print(text, end="")


def _sizes(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or list(found) != sorted(set(found)) or found[0] < 1:
        message = f"must be increasing whole numbers above 0, as 1,2,4; given: {text!r}"
        raise InputError([Fault("--sizes", message)], "profile")
    return found


def _listen(port: int, time_limit_s: float) -> None:
    """Answer probes until nobody has called for the time limit, or until Ctrl-C."""
    from solver.profiling.link_probe import answer, listen

    with listen(port, time_limit_s) as server:
        say(f"listening on port {server.getsockname()[1]} for {time_limit_s:g} s; Ctrl-C ends it")
        while (received := answer(server, time_limit_s)) >= 0:
            say(f"answered a probe of {received} bytes")


def _link(name: str, peer_name: str, peer: str, time_limit_s: float) -> tuple[str, Any]:
    """Measure a link; return it as a cluster's file has it under ``links``."""
    import yaml

    from solver.profiling.link_probe import probe

    host, _, port = peer.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError([Fault("--peer", f"must be HOST:PORT; given: {peer!r}")], "profile")
    found = probe(host, int(port), time_limit_s)
    say(f"latency {found.latency_s:.3g} s, {found.bytes_per_s:.4g} bytes/s (a message of {found.num_bytes})")
    link = {
        "between": [name, peer_name],
        "bandwidth_bytes_per_s": found.bytes_per_s,
        "latency_s": found.latency_s,
    }
    return yaml.safe_dump({"links": [link]}, sort_keys=False), {"links": [link]}


def _machine(
    net: str,
    name: str,
    sizes: tuple[int, ...],
    rounds: int,
    on: str,
    time_limit_s: float,
    power: _Power | None,
    like: str | None,
) -> tuple[str, Any]:
    """Time the blocks of a net; return the card as text and as data."""
    from models import catalog
    from models.nets import catalog as nets
    from models.nets.timing import time_net
    from models.profile import profile as count
    from solver.profiling.card import card_of, text_of
    from solver.progress import profiling

    spec, base = nets.spec(net), catalog.device(like) if like is not None else None
    device = _device(on)
    free = _free_bytes(device)
    idle_span = power.wait() if power is not None else (0.0, 0.0)
    with profiling() as progress:
        found = time_net(
            spec,
            sizes,
            device=device,
            rounds=rounds,
            time_limit_s=time_limit_s,
            steady_s=power.busy_s if power is not None else 0.0,
            progress=progress,
        )
    watts = power.read(idle_span, found.busy) if power is not None else (None, None)
    card = card_of(name, count(spec), found, free, watts, base)
    _tell(found, sizes)
    return text_of(card), {
        "card": card.model_dump(mode="json", exclude_defaults=True),
        "times": _plain(found),
    }


def _device(on: str) -> str:
    import torch

    if on not in ("auto", "cpu", "cuda"):
        raise InputError([Fault("--on", f"must be auto, cpu or cuda; given: {on!r}")], "profile")
    there = torch.cuda.is_available()
    if on == "cuda" and not there:
        raise InputError([Fault("--on", "torch finds no CUDA device here; give cpu")], "profile")
    return "cuda" if there and on != "cpu" else "cpu"


def _free_bytes(device: str) -> int:
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return int(psutil.virtual_memory().available)


def _tell(found: NetTimes, sizes: tuple[int, ...]) -> None:
    """Say what was left out and what is noisy."""
    left = [size for size in sizes if size not in found.times]
    if left:
        say(f"time is up: batch sizes {', '.join(map(str, left))} were not measured")
    every = [(one.spread, block, size) for size, table in found.times.items() for block, one in table.items()]
    noisy = [item for item in every if item[0] > NOISY]
    if noisy:
        spread, block, size = max(noisy)
        say(
            f"noisy: {len(noisy)} of {len(every)} medians have a spread above {NOISY:.0%}; the widest, "
            f"{spread:.0%}, is {block} at batch {size}; stop other programs, or give more --rounds"
        )


def _plain(found: NetTimes) -> dict[str, Any]:
    return {
        str(size): {block: vars(one) for block, one in table.items()} for size, table in found.times.items()
    }
