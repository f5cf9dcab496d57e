"""Figures: the headline of a plan, predicted beside measured, for the page and for the terminal alike."""

from __future__ import annotations

from dataclasses import dataclass

from solver.report import Report
from solver.reporting import units
from solver.reporting.accounts import account_figures
from solver.reporting.measured import Measured


@dataclass(frozen=True)
class Figure:
    """One headline figure.

    Parameters
    ----------
    name
        What it is.
    predicted, measured
        In words; empty where there is none.
    difference
        How much the measured one is above the predicted one, in words.
    note
        A few words more.
    """

    name: str
    predicted: str
    measured: str = ""
    difference: str = ""
    note: str = ""


def headline(report: Report, measured: Measured | None = None) -> tuple[Figure, ...]:
    """Return the headline figures.

    Parameters
    ----------
    report, measured
        What was predicted, and what a run found.
    """
    found = [_time(report, measured)]
    if report.latencies_s:
        mean = sum(report.latencies_s) / len(report.latencies_s)
        worst = f"longest {units.seconds(max(report.latencies_s))}"
        found.append(Figure("Latency of a request", units.seconds(mean), note=worst))
    found.append(_throughput(report, measured))
    found.append(_step_energy(report, measured))
    found += [Figure(name, words, note=note) for name, words, note in account_figures(report)]
    found.append(_memory(report, measured))
    found.append(_traffic(report, measured))
    lane = report.bottleneck_lane.replace(":", ", ")
    found.append(Figure("Bottleneck per micro-batch", units.seconds(report.bottleneck_s), note=lane))
    found.append(
        Figure("Bubble", units.percent(report.bubble), note="time in which participants do not compute")
    )
    if measured is not None and measured.max_relative_loss_difference is not None:
        worst = _relative(measured.max_relative_loss_difference)
        found.append(Figure("Loss difference", "0", worst, note="largest, relative to the undivided run"))
    if measured is not None and measured.max_relative_weight_difference is not None:
        worst = _relative(measured.max_relative_weight_difference)
        found.append(Figure("Weight difference", "0", worst, note="at the end, to the undivided run"))
    return tuple(found)


def _relative(difference: float) -> str:
    return f"{difference:.1e}" if difference else "none"


def _time(report: Report, measured: Measured | None) -> Figure:
    steps = report.program.num_steps
    note = "" if steps == 1 else f"round of {steps} steps: {units.seconds(report.round_time_s)}"
    if measured is None or measured.step_time_s is None:
        return Figure("Step time", units.seconds(report.step_time_s), note=note)
    step_s = measured.step_time_s
    notes = [note] if note else []
    if measured.step_time_cv is not None:
        word = "steps" if steps == 1 else "rounds"
        notes.append(f"CV {units.percent(measured.step_time_cv)} over {len(measured.step_times_s)} {word}")
    if measured.dilation != 1:
        notes.append(f"dilation {measured.dilation:g}")
    return Figure(
        "Step time",
        units.seconds(report.step_time_s),
        units.seconds(step_s),
        _difference(step_s, report.step_time_s, measured),
        ", ".join(notes),
    )


def _difference(value: float, predicted: float, measured: Measured) -> str:
    """Return a difference in time; in raw mode nothing is emulated, so there is none to state."""
    return units.difference(value, predicted) if measured.mode == "padded" else f"{measured.mode} mode"


def _throughput(report: Report, measured: Measured | None) -> Figure:
    words = f"{units.digits(report.samples_per_s)} samples/s"
    if measured is None or not measured.step_time_s:
        return Figure("Throughput", words)
    found = report.program.num_samples / (report.program.num_steps * measured.step_time_s)
    difference = _difference(found, report.samples_per_s, measured)
    return Figure("Throughput", words, f"{units.digits(found)} samples/s", difference)


def _step_energy(report: Report, measured: Measured | None) -> Figure:
    words, note = units.energy(report.energy_j), f"{report.energy_is}, whole boards"
    if measured is None or measured.energy_j is None:
        return Figure("Energy of a step", words, note=note)
    difference = _difference(measured.energy_j, report.energy_j, measured)
    note += "; beside it: the same powers over the measured intervals"
    return Figure("Energy of a step", words, units.energy(measured.energy_j), difference, note)


def _memory(report: Report, measured: Measured | None) -> Figure:
    fullest = max(report.memory, key=lambda name: report.memory[name].peak_bytes)
    words = units.size(report.peak_memory_bytes)
    if measured is None or fullest not in measured.peak_memory_bytes:
        return Figure("Peak memory", words, note=f"of {fullest}, the fullest device")
    found = measured.peak_memory_bytes[fullest]
    difference = units.difference(found, report.peak_memory_bytes)
    return Figure("Peak memory", words, units.size(found), difference, f"of {fullest}, the fullest device")


def _traffic(report: Report, measured: Measured | None) -> Figure:
    name = "Traffic of a step" if report.program.num_steps == 1 else "Traffic of a round"
    words = units.size(report.traffic_bytes)
    found = measured.total_traffic_bytes if measured is not None else None
    if found is None:
        return Figure(name, words, note="bytes over any link")
    same = found == report.traffic_bytes
    difference = "exact" if same else units.difference(found, report.traffic_bytes)
    return Figure(name, words, units.size(found), difference, f"{found:,} bytes counted")


@dataclass(frozen=True)
class DeviceFigures:
    """Figures of one device, in words.

    Parameters
    ----------
    device, role
        Its name, and the stages it is in.
    busy, measured_busy, utilisation
        Computing time, predicted and measured; part of the time.
    memory, measured_memory, limit
        Peak, and what it has.
    energy
        Of a step, and whether it is measured or modelled where devices differ.
    sent, received
        Bytes of a step (round).
    over
        Whether it needs more memory than it has.
    """

    device: str
    role: str
    busy: str
    measured_busy: str
    utilisation: str
    memory: str
    measured_memory: str
    limit: str
    energy: str
    sent: str
    received: str
    over: bool


def by_device(
    report: Report, roles: dict[str, str], measured: Measured | None = None
) -> tuple[DeviceFigures, ...]:
    """Return the figures of every device of the cluster.

    Parameters
    ----------
    report, measured
        What was predicted, and what a run found.
    roles
        Stages by device, in words; a device that takes no part is not in it.
    """
    busy = measured.busy_s(report.program) if measured is not None else {}
    peaks = measured.peak_memory_bytes if measured is not None else {}
    found = []
    for name, part in report.memory.items():
        idle = name not in report.utilisation
        sent = sum(count for (a, _), count in report.traffic.items() if a == name)
        received = sum(count for (_, b), count in report.traffic.items() if b == name)
        found.append(
            DeviceFigures(
                device=name,
                role=roles.get(name, "takes no part"),
                busy=units.NONE if idle else units.seconds(report.busy_s[name]),
                measured_busy=units.seconds(busy[name]) if name in busy else units.NONE,
                utilisation=units.NONE if idle else units.percent(report.utilisation[name]),
                memory=units.size(part.peak_bytes),
                measured_memory=units.size(peaks[name]) if name in peaks else units.NONE,
                limit=units.size(part.limit_bytes),
                energy=_energy(report, name),
                sent=units.size(sent),
                received=units.size(received),
                over=part.peak_bytes > part.limit_bytes,
            )
        )
    return tuple(found)


def energy_heading(report: Report) -> str:
    """Return the heading of energies, which says what they are unless devices differ in that."""
    return "energy" if report.energy_is == "partly measured" else f"energy ({report.energy_is})"


def _energy(report: Report, device: str) -> str:
    text = units.energy(report.energy[device].total_j / report.program.num_steps)
    if report.energy_is == "partly measured":
        text += f" ({report.energy_of_device_is(device)})"
    return text
