"""The bones hold: what is imported lies in this repository, and imports point one way only.

The tables below are the whole rule. A new module at the top of `solver/` gets a place in `LAYERS`.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "solver", "experiments")

# solver/, from the ground up: a module imports its own layer and those before it. Patterns as in a shell.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("working_clock", "lock", "plugins"),
    ("stop", "space", "settings", "job", "placement"),
    ("costs", "problem"),
    ("plan",),
    ("layout", "routing", "collective", "split", "power_modes"),
    ("program", "schedule", "lowering", "lowering_*"),
    ("check",),
    ("simulate", "accounts", "report", "limits"),
    ("evaluate",),
    ("batch", "batch_*", "status", "loading", "progress"),
    ("formulations", "search"),
    ("algorithms",),
    ("catalog", "solve"),
    ("pareto", "price", "participation", "repair"),
    ("suites",),
    ("bench",),
    ("execution",),
    ("profiling", "validation"),
    ("reporting",),
    ("phases",),
    ("listing", "words", "asked", "all_phases", "api", "__init__"),
    ("quickstart", "verbs"),
    ("cli", "__main__"),
)


@dataclass(frozen=True)
class Rule:
    """Modules like `importer`, except those like `unless`, import of `banned` only what is `allowed`."""

    importer: str
    banned: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


RULES = (
    Rule("models*", banned=("solver", "experiments")),
    Rule("solver*", banned=("experiments",)),
    Rule("models*", banned=("torch",), unless=("models.nets*", "models.formats*", "models.profile*")),
    Rule("solver.algorithms*", banned=("torch", "solver.execution")),
    # A helper of two algorithms lies in solver/search/, below them; they reach each other by name only.
    Rule("solver.algorithms.*", banned=("solver.algorithms",)),
    Rule(
        "solver.execution*",
        banned=("solver",),
        allowed=(
            "solver.execution",
            *("solver.plan", "solver.job", "solver.program", "solver.errors"),
            # Workers lower the plan themselves; the result lies beside what was predicted.
            *("solver.collective", "solver.costs", "solver.layout", "solver.lowering", "solver.simulate"),
            *("solver.evaluate", "solver.report"),
            # A process on another machine reads the plan itself.
            "solver.loading",
            # Plans for the devices that are left.
            "solver.repair",
        ),
    ),
)

# Imported only inside the functions that use them, so that `partage --help` answers at once.
HEAVY = ("torch", "ortools", "pulp", "matplotlib")


@dataclass(frozen=True)
class Import:
    """One import: the module that does it, the one it asks for, and where that is written."""

    importer: str
    target: str
    where: str


def name_of(file: Path) -> str:
    """Import name of a file of the repository; that of a package's `__init__.py` ends in `.__init__`."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def targets_of(node: ast.AST, importer: str) -> Iterator[str]:
    """Modules that a node of the syntax tree imports; `from a import b` means `a.b` if that is a module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        here = importer.split(".")[: -node.level] if node.level else []
        base = ".".join([*here, *(node.module.split(".") if node.module else [])])
        for alias in node.names:
            full = f"{base}.{alias.name}"
            yield full if is_module(full) else base
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
        "import_module",
        "__import__",
    ):
        yield from (
            a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)
        )


def imports_in(folder: str) -> list[Import]:
    found = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        importer = name_of(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            line = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            found += [Import(importer, target, line) for target in targets_of(node, importer)]
    return found


def inside(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.removesuffix(".__init__"), pattern)


def breaks(rule: Rule, one: Import) -> bool:
    if not matches(one.importer, rule.importer) or any(matches(one.importer, p) for p in rule.unless):
        return False
    return inside(one.target, rule.banned) and not inside(one.target, rule.allowed)


def layer_of(module: str) -> int | None:
    """Place of a module of `solver/` in `LAYERS`; `solver` itself is its `__init__`."""
    top = [*module.split("."), "__init__"][1]
    for place, patterns in enumerate(LAYERS):
        if any(fnmatchcase(top, pattern) for pattern in patterns):
            return place
    return None


def top_level_of_solver() -> list[str]:
    entries = sorted((ROOT / "solver").iterdir())
    return [e.stem for e in entries if e.suffix == ".py" or (e.is_dir() and any(e.rglob("*.py")))]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_imported_lies_in_this_repository(package: str) -> None:
    assert importlib.import_module(package).__file__ == str(ROOT / package / "__init__.py")


def test_every_module_of_solver_has_a_layer() -> None:
    homeless = [name for name in top_level_of_solver() if layer_of(f"solver.{name}") is None]
    assert not homeless, (
        f"place {', '.join(homeless)} in LAYERS, in {Path(__file__).name}: what may it import?"
    )


def test_lower_layers_of_solver_import_no_higher_ones() -> None:
    upward = []
    for one in imports_in("solver"):
        if inside(one.target, ("solver",)):
            here, there = layer_of(one.importer), layer_of(one.target)
            if here is not None and there is not None and here < there:
                upward.append(f"{one.where}: {one.importer} imports {one.target}, which is above it")
    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.importer} not {','.join(rule.banned)}")
def test_imports_point_one_way(rule: Rule) -> None:
    faults = [
        f"{one.where}: {one.importer} imports {one.target}"
        for package in PACKAGES
        for one in imports_in(package)
        if breaks(rule, one)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("importer", "code", "targets"),
    [
        ("solver.plan", "import solver.solve as s, torch", ["solver.solve", "torch"]),
        ("solver.plan", "from solver import errors", ["solver.errors"]),
        ("solver.plan", "from solver.errors import PlanError", ["solver.errors"]),
        ("solver.plan", "from . import errors", ["solver.errors"]),
        ("solver.search.local", "from ..errors import PlanError", ["solver.errors"]),
        ("solver.search.__init__", "from .local import walk", ["solver.search.local"]),
        ("solver.plan", "def f():\n    from torch import nn", ["torch"]),
        ("solver.plan", "importlib.import_module('torch.nn')", ["torch.nn"]),
    ],
)
def test_reader_of_imports_finds_each_form(
    importer: str, code: str, targets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "is_module", lambda name: name == "solver.errors")
    assert [t for node in ast.walk(ast.parse(code)) for t in targets_of(node, importer)] == targets


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from solver.cli import main\n"
        "sys.argv = ['partage', '--help']\n"
        "try:\n    status = main()\n"
        "except SystemExit as end:\n    status = end.code\n"
        f"print('status', status or 0, 'heavy', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == "status 0 heavy []"
