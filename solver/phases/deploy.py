"""Deploy: the weights that every device must hold before the first step, written whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import Fault, InputError
from solver.loading import Loaded
from solver.phases.placing import Placing, placing
from solver.plan import share_devices
from solver.program import Kind
from solver.report import Report

if TYPE_CHECKING:
    from solver.execution.state.checkpoint import About
    from solver.execution.state.deployment import Manifest, Place


@dataclass(frozen=True)
class Deployed:
    """A deployment that was written.

    Parameters
    ----------
    folder
        Where it is.
    manifest
        What it says of itself.
    """

    folder: Path
    manifest: Manifest

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without the list of files."""
        return {
            "folder": str(self.folder),
            "num_files": len(self.manifest.files),
            "num_bytes": sum(content.num_bytes for content in self.manifest.files.values()),
            **self.manifest.model_dump(mode="json", exclude={"files"}),
        }


def deploy(
    loaded: Loaded, out: Path, *, seed: int = 0, source: str | None = None, overwrite: bool = False
) -> Deployed:
    """Write what every device of a plan must hold before the first step.

    Parameters
    ----------
    loaded
        The plan. If its workload names no net that can be trained here, the deployment has no weights.
    out
        The folder; it is there whole or not at all.
    seed
        Of the weights.
    source
        Device on which the model lies before; see :func:`solver.phases.placing.placing`.
    overwrite
        Whether a folder that exists is replaced.

    Raises
    ------
    InputError
        If the plan cannot be placed: it is not for training, a device has too little memory, or the folder
        exists.
    """
    from solver.execution.state.writer import Writer

    report = loaded.evaluate()
    faults = list(_faults(loaded, report, out, overwrite=overwrite))
    if faults:
        raise InputError(faults, "deploy")
    found = placing(loaded.plan, loaded.workload, loaded.cluster, report.program, source)
    try:
        writer = Writer(out.absolute().parent, f"deploy-{out.name}")
    except OSError as error:
        raise InputError([Fault("--out", f"cannot write {out}: {error}")], "deploy") from None
    try:
        manifest = _write(writer.place, loaded, report, found, seed)
        writer.publish(out.name, "manifest.json", manifest)
    except OSError as error:
        writer.abandon()
        raise InputError(
            [Fault("--out", f"cannot write {out}: {error}; nothing is left there")], "deploy"
        ) from None
    except BaseException:
        writer.abandon()
        raise
    return Deployed(out, manifest)


def _faults(loaded: Loaded, report: Report, out: Path, *, overwrite: bool) -> Iterator[Fault]:
    if out.exists() and not overwrite:
        yield Fault("--out", f"{out} exists; give another name, or --force")
    if loaded.plan.job.kind != "train":
        yield Fault("job.kind", f"{loaded.plan.job.kind}: only what is trained is deployed")
    for violation in report.violations:
        if violation.limit == "memory":
            yield Fault(violation.where, f"{violation.message}; it could not hold its part in training")


def _write(place: Path, loaded: Loaded, report: Report, found: Placing, seed: int) -> Manifest:
    """Write all files but the manifest, and return that."""
    from solver.execution.state.deployment import PROGRAM, Content, Manifest, files_below
    from solver.execution.state.writer import write_synced

    folders = _folders(tuple(found.shelves))
    if loaded.workload.net is not None:
        _write_weights(place, loaded, report, found, seed, folders)
    for device, folder in folders.items():
        (place / folder).mkdir(exist_ok=True)
        write_synced(place / folder / PROGRAM, program_table(report, device).encode())
    files = {}
    for name in sorted(files_below(place)):
        content = (place / name).read_bytes()
        files[name] = Content(sha256=hashlib.sha256(content).hexdigest(), num_bytes=len(content))
    plan, workload, cluster = loaded.plan, loaded.workload, loaded.cluster
    return Manifest(
        plan_sha256=plan.digest,
        workload=workload.name,
        workload_sha256=workload.digest,
        cluster=cluster.name,
        cluster_sha256=cluster.digest,
        net=workload.net,
        seed=seed,
        source=found.source,
        moved_bytes=found.moved_bytes,
        seconds=found.seconds,
        devices={name: _place(folders[name], name, found, report) for name in found.shelves},
        files=files,
    )


def _folders(devices: tuple[str, ...]) -> dict[str, str]:
    """Return a name of a folder for each device; two that would be the same get a number."""
    from solver.execution.state.remains import safe

    names = [safe(device) for device in devices]
    return {
        device: name if names.count(name) == 1 and name.strip(".") else f"{i}-{name}"
        for i, (device, name) in enumerate(zip(devices, names, strict=True))
    }


def _place(folder: str, device: str, found: Placing, report: Report) -> Place:
    from solver.execution.state.deployment import Place

    shelf, memory = found.shelves[device], report.memory[device]
    return Place(
        folder=folder,
        blocks=tuple(shelf.blocks),
        backups=tuple(block for stage in shelf.copies.values() for block in stage),
        weight_bytes=shelf.weight_bytes,
        backup_bytes=shelf.backup_bytes,
        there_s=shelf.there_s,
        peak_bytes=memory.peak_bytes,
        limit_bytes=memory.limit_bytes,
    )


def _write_weights(
    place: Path, loaded: Loaded, report: Report, found: Placing, seed: int, folders: dict[str, str]
) -> None:
    """Build what each device holds, as its worker would, and write it; one device after another."""
    from solver.execution.passes.replica import Replica
    from solver.execution.passes.tuning import Tuning
    from solver.execution.passes.worklist import Worklist
    from solver.execution.state.deployment import BACKUP
    from solver.execution.state.remains import leave

    plan, workload, cluster = loaded.plan, loaded.workload, loaded.cluster
    about = _about(loaded, seed)

    def replica_of(device: str) -> Replica:
        worklist = Worklist(device, report.program, plan, workload, cluster)
        return Replica(Tuning.of(plan, workload, device), worklist.held, seed, None)

    for device, shelf in found.shelves.items():
        if shelf.blocks:
            leave(place, device, replica_of(device), about, name=folders[device])
    for device, shelf in found.shelves.items():
        for (p, s), blocks in shelf.copies.items():
            holder = share_devices(plan.pipelines[p].stages[s].shares)[0]
            where = place / folders[device]
            leave(where, holder, replica_of(holder), about, name=f"{BACKUP}{p}-{s}", blocks=tuple(blocks))


def _about(loaded: Loaded, seed: int) -> About:
    from solver.execution.state.checkpoint import About

    return About(
        step=0,
        seed=seed,
        samples=0,
        workload=loaded.workload.name,
        workload_sha256=loaded.workload.digest,
        job=loaded.plan.job,
    )


def program_table(report: Report, device: str) -> str:
    """Return what a device does in a step, one instruction a line, its columns divided by tabs.

    Parameters
    ----------
    report
        Of the plan: when everything is predicted to start and end.
    device
        The device.
    """
    heads = ("index", "what", "micro_batch", "stage", "peer", "bytes", "start_s", "end_s", "blocks")
    lines = ["\t".join(heads)]
    start, end = report.timeline.start_s, report.timeline.end_s
    for one in report.program.of_device(device):
        row = one.row
        if row.kind != Kind.HANDOVER:
            times = [f"{float(column[one.index]):.9g}" for column in (start, end)]
            place = f"{row.pipeline}.{row.stage}" if row.stage >= 0 else ""
            number = str(one.micro_batch) if one.micro_batch >= 0 else ""
            cells = [str(one.index), row.label, number, place, row.peer or "", str(row.num_bytes), *times]
            lines.append("\t".join([*cells, " ".join(row.blocks)]))
    return "\n".join(lines) + "\n"
