"""Listing: what there is, one row an entry, broken files with their error."""

from __future__ import annotations

from typing import Any, Literal

KINDS = ("solvers", "workloads", "clusters", "devices", "suites", "experiments")


def listing(kind: str) -> list[dict[str, Any]]:
    """Return the entries of a kind as rows.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    """
    if kind == "solvers":
        from solver.catalog import entries as solvers

        return [_row(entry.name, entry.error, summary=_said(entry)) for entry in solvers()]
    if kind == "suites":
        return _suites()
    if kind == "experiments":
        return _experiments()
    from models import catalog

    rows = []
    for entry in catalog.entries(_FOLDERS[kind]):
        details = {} if entry.error else _DETAILS[kind](entry.name)
        rows.append(_row(entry.name, entry.error, **details))
    return rows


def _suites() -> list[dict[str, Any]]:
    """Return the suites of problems, for ``partage bench``, and those of measured runs, for ``validate``."""
    from solver.suites.catalog import entries as problems
    from solver.validation.catalog import entries as measured

    return [
        _row(entry.name, entry.error, verb=verb, summary=_said(entry))
        for verb, entries in (("bench", problems()), ("validate", measured()))
        for entry in entries
    ]


def _said(entry: Any) -> str:
    """Return the first line of a docstring without the name that it begins with."""
    return str(entry.summary).removeprefix(f"{entry.name}: ")


def _row(name: str, error: str | None, **details: Any) -> dict[str, Any]:
    return {"name": name, **details, **({"error": error} if error else {})}


def _experiments() -> list[dict[str, Any]]:
    import ast
    from pathlib import Path

    import solver

    folder = Path(solver.__file__).resolve().parent.parent / "experiments"
    rows = []
    for path in sorted(folder.glob("*.py")):
        if path.stem.startswith("_") or path.stem == "bench":
            continue
        try:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            rows.append(_row(path.stem, None, summary=text.split("\n")[0]))
        except SyntaxError as error:
            rows.append(_row(path.stem, f"does not parse: {error}"))
    return rows


def _workload(name: str) -> dict[str, Any]:
    from models import catalog

    card = catalog.workload(name)
    return {
        "num_blocks": len(card.blocks),
        "weight_bytes": sum(block.weight_bytes for block in card.blocks),
        "precision": card.precision,
        "forward_flop_per_sample": sum(block.forward_flop for block in card.blocks),
        "trainable_here": card.net is not None,
        "summary": card.description,
    }


def _cluster(name: str) -> dict[str, Any]:
    from models import catalog

    cluster = catalog.cluster(name)
    return {"devices": [device.name for device in cluster.devices], "summary": cluster.description}


def _device(name: str) -> dict[str, Any]:
    from models import catalog

    device = catalog.device(name)
    return {
        "flop_per_s": {precision: speed.value for precision, speed in device.flop_per_s.items()},
        "memory_bytes": device.memory_bytes.value,
        "idle_w": device.idle_w.value,
        "busy_w": device.busy_w.value,
        "power_modes": list(device.power_modes),
        "estimates": device.estimates,
        "summary": device.description,
    }


_FOLDERS: dict[str, Literal["workloads", "clusters", "devices"]] = {
    "workloads": "workloads",
    "clusters": "clusters",
    "devices": "devices",
}
_DETAILS = {"workloads": _workload, "clusters": _cluster, "devices": _device}


def print_listing(console: Any, kind: str) -> None:
    """Print the entries of a kind as a table, one line each where the terminal is wide enough."""
    from rich.table import Table

    rows = listing(kind)
    if not rows:
        console.print(f"{kind}: none yet")
        return
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=kind, title_justify="left", box=None, pad_edge=False)
    for key in keys:
        table.add_column(_HEADS.get(key, key), no_wrap=key == "name", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(key, row.get(key, "")) for key in keys))
    console.print(table)


_HEADS = {
    "num_blocks": "blocks",
    "weight_bytes": "weights",
    "forward_flop_per_sample": "forward flop",
    "trainable_here": "trains here",
    "flop_per_s": "flop/s",
    "memory_bytes": "memory",
    "idle_w": "idle W",
    "busy_w": "busy W",
    "power_modes": "modes",
    "estimates": "of these, estimates",
}


def _shown(key: str, value: Any) -> str:
    if value == "":
        return ""
    if key == "summary":
        return str(value).replace(": ", ". ").split(". ")[0].rstrip(".")
    if key in ("weight_bytes", "memory_bytes"):
        return f"{_si(value)}B"
    if key == "forward_flop_per_sample":
        return _si(value)
    if key == "estimates":
        return ", ".join(dict.fromkeys(path.split(".")[0] for path in value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict):
        return " ".join(f"{name} {_si(number)}" for name, number in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _si(value: float) -> str:
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {prefix}"
    return f"{value:.3g} "
