"""Own cluster: the boards of a run in a file of its own, as they were read or as this host was measured."""

from __future__ import annotations

from pathlib import Path

import yaml

from models.cluster import Cluster, Device
from models.document import write_text
from models.errors import Fault, InputError
from models.workload import Workload

LOOPBACK_BYTES_PER_S, LOOPBACK_S = 2e9, 2e-4
"""What gloo reaches between two processes of one machine, and what one message takes."""

SIZES, ROUNDS, LIMIT_S = (1, 2, 4, 8), 5, 60.0


def write_cluster(path: Path, cluster: Cluster) -> None:
    """Write a cluster whole, its cards expanded, so that it needs no other file.

    Parameters
    ----------
    path, cluster
        The file, and what is in it.
    """
    plain = cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
    write_text(path, text, overwrite=True)


def this_machine(workload: Workload, num_processes: int) -> Cluster:
    """Measure this machine, and return it as a cluster of equal processes.

    Parameters
    ----------
    workload
        Whose net is timed, block by block.
    num_processes
        Devices it is to be; they compute at the same time, so each has that part of its speed and memory.

    Raises
    ------
    InputError
        If the workload names no net that can be timed here.
    """
    import psutil

    from models.nets import catalog as nets
    from models.nets.timing import time_net
    from models.profile import profile as count
    from solver.profiling.card import card_of
    from solver.progress import profiling

    if workload.net is None:
        message = f"{workload.name} names no net that can be timed here; give the cluster it is planned for"
        raise InputError([Fault("--cluster", message)], "profile")
    spec = nets.spec(workload.net)
    with profiling() as progress:
        found = time_net(spec, SIZES, rounds=ROUNDS, time_limit_s=LIMIT_S, progress=progress)
    free = int(psutil.virtual_memory().available) // num_processes
    cores = psutil.cpu_count() or 1
    card = card_of("this_machine", count(spec), found, free)
    names = [f"process{i}" for i in range(num_processes)]
    slower = max(1.0, num_processes / cores)
    devices = [_process(card, name, slower) for name in names]
    wire = {
        "name": "loopback",
        "members": names,
        "bandwidth_bytes_per_s": LOOPBACK_BYTES_PER_S,
        "latency_s": LOOPBACK_S,
    }
    return Cluster.model_validate(
        {
            "name": "this_machine",
            "description": f"{num_processes} processes of the machine that was profiled",
            "devices": [device.model_dump(mode="json", by_alias=True) for device in devices],
            "segments": [wire] if num_processes > 1 else [],
        }
    )


def _process(card: Device, name: str, slower: float) -> Device:
    """Return a process that gets a part of a core, if there are more of them than cores."""
    profiles = {
        workload: {
            block: times.model_copy(
                update={
                    "forward_s": tuple(seconds * slower for seconds in times.forward_s),
                    "backward_s": tuple(seconds * slower for seconds in times.backward_s),
                }
            )
            for block, times in blocks.items()
        }
        for workload, blocks in card.profiles.items()
    }
    speeds = {
        precision: speed.model_copy(update={"value": speed.value / slower})
        for precision, speed in card.flop_per_s.items()
    }
    return card.model_copy(update={"name": name, "profiles": profiles, "flop_per_s": speeds})
