"""Limits a sound plan may break, each with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from models.cluster import Cluster
from models.workload import Workload
from solver.accounts import Accounts
from solver.plan import Plan, share_devices
from solver.report import Memory, Report, Violation


def static_violations(plan: Plan, workload: Workload, cluster: Cluster) -> tuple[Violation, ...]:
    """Return the broken limits that need no walk: modalities, spectrum, resources.

    Parameters
    ----------
    plan, workload, cluster
        A sound plan, and what it names.
    """
    return tuple(
        [
            *_modalities(plan, workload, cluster),
            *_spectrum(plan, cluster),
            *_resources(plan, workload, cluster),
        ]
    )


def walked_violations(plan: Plan, report: Report) -> tuple[Violation, ...]:
    """Return the broken limits that a walk shows: memory, deadline, energy, carbon, batteries, trust.

    Parameters
    ----------
    plan, report
        The plan and its costs.
    """
    found = [
        _memory(name, part) for name, part in report.memory.items() if part.peak_bytes > part.limit_bytes
    ]
    job = plan.job
    time = max(report.latencies_s, default=report.step_time_s)
    if job.deadline_s is not None and time > job.deadline_s:
        message = f"takes {time:.6g} s, the deadline is {job.deadline_s:.6g} s"
        found.append(Violation("deadline", "", time, job.deadline_s, "s", message))
    if job.energy_budget_j is not None and report.energy_j > job.energy_budget_j:
        message = f"takes {report.energy_j:.6g} J, the budget is {job.energy_budget_j:.6g} J"
        found.append(Violation("energy", "", report.energy_j, job.energy_budget_j, "J", message))
    carbon_g = report.accounts.total_carbon_g
    if job.carbon_budget_g is not None and carbon_g > job.carbon_budget_g:
        message = f"takes {carbon_g:.6g} g CO2e, the budget is {job.carbon_budget_g:.6g} g"
        found.append(Violation("carbon", "", carbon_g, job.carbon_budget_g, "g", message))
    found += _batteries(job.steps, report.accounts)
    allowed = job.untrusted_limit_bytes
    if allowed is not None and report.untrusted_bytes > allowed:
        message = f"{report.untrusted_bytes} bytes cross to a lower level of trust, {allowed} may"
        found.append(Violation("trust", "", report.untrusted_bytes, allowed, "bytes", message))
    return tuple(found)


def _batteries(steps: int | None, accounts: Accounts) -> Iterator[Violation]:
    for name, battery in accounts.batteries.items():
        needed = battery.step_j * (steps or 0)
        if needed > battery.battery_j:
            message = (
                f"{steps} steps take {needed:.6g} J of {name}, whose battery holds {battery.battery_j:.6g} J "
                f"and is empty after {battery.num_steps} steps"
            )
            yield Violation("battery", name, needed, battery.battery_j, "J", message)


def _memory(name: str, part: Memory) -> Violation:
    over = part.peak_bytes - part.limit_bytes
    message = (
        f"device {name} needs {part.peak_bytes} bytes and has {part.limit_bytes}: {over} too many "
        f"(weights {part.static.weight_bytes}, gradients {part.static.gradient_bytes}, "
        f"optimizer {part.static.optimizer_bytes}, activations {part.activation_bytes}, "
        f"receive buffers {part.buffer_bytes})"
    )
    return Violation("memory", name, part.peak_bytes, part.limit_bytes, "bytes", message)


def _modalities(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Violation]:
    seen: set[tuple[str, str]] = set()
    for pipeline in plan.pipelines:
        for stage in pipeline.stages:
            for name in stage.blocks:
                data = workload.by_name[name].data
                if data is None or data.may_leave:
                    continue
                owners = [device.name for device in cluster.devices if data.name in device.data]
                for device in share_devices(stage.shares):
                    if owners and device not in owners and (name, device) not in seen:
                        seen.add((name, device))
                        message = (
                            f"block {name} reads {data.name}, which may not leave {', '.join(owners)}; "
                            f"it is placed on {device}"
                        )
                        yield Violation("modality", f"{name}@{device}", 0, 0, "", message)


def _spectrum(plan: Plan, cluster: Cluster) -> Iterator[Violation]:
    for segment in cluster.segments:
        if segment.spectrum is None:
            continue
        given = sum(
            choice.bandwidth_hz or 0.0
            for name, choice in plan.devices.items()
            if name in segment.spectrum.gain
        )
        allowed = segment.spectrum.bandwidth_hz
        if given > allowed * (1 + 1e-12):
            message = f"devices share out {given:.6g} Hz of {segment.name}, which has {allowed:.6g} Hz"
            yield Violation("spectrum", segment.name, given, allowed, "Hz", message)


def _resources(plan: Plan, workload: Workload, cluster: Cluster) -> Iterator[Violation]:
    if plan.job.kind != "serve":
        return
    taken: dict[tuple[str, str], float] = {}
    for pipeline in plan.pipelines:
        for stage in pipeline.stages:
            for device in share_devices(stage.shares):
                for name in stage.blocks:
                    for word, amount in workload.by_name[name].resources.items():
                        key = (device, word)
                        taken[key] = taken.get(key, 0.0) + amount * stage.instances.get(device, 1)
    for (device, word), given in taken.items():
        allowed = cluster.by_name[device].resources.get(word, 0.0)
        if given > allowed * (1 + 1e-12):
            message = f"services take {given:.6g} {word} of {device}, which has {allowed:.6g}"
            yield Violation("resources", f"{device}.{word}", given, allowed, word, message)
