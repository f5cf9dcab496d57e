"""Study: the frame of every experiment: what is asked, cells that are kept, plans, tables, figures, README.

::

    def run(out: Path, *, quick: bool, jobs: int = 1) -> None:
        study = Study(out, __file__, quick=quick, jobs=jobs, asked={"work_limit": 2000})
        rows = study.cells({f"{w}@{c}": partial(row_of, study, w, c) for w in ... for c in ...})
        study.table("rows", rows)
        study.figure("time", lines(...))
        study.readme("What was asked ...", markdown(rows), "What it says ...")

A cell is plain data (a row, or a list of rows) and depends on its key, the seed and what is asked alone. What
takes wall time or is measured has a name that begins with ``wall_`` or ``measured_``: nothing else may differ
when the experiment is run again.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.frame.cells import Cells, Make, code_digest
from experiments.frame.tables import Row, csv_text
from models import catalog
from models.cluster import Cluster
from models.document import dump_json, write_text
from models.errors import InputError
from solver.bench.machine import machine, versions
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SILENT = ("frame/plots.py", "frame/tables.py", "frame/verify.py", "pages/")
"""Files of experiments/ that show results and make none: cells outlive a change in them."""


@dataclass(frozen=True)
class Study:
    """One experiment that writes into one folder.

    Parameters
    ----------
    out
        The folder.
    source
        ``__file__`` of the experiment.
    quick
        Whether it is the short form.
    jobs
        Processes that make cells at the same time; results do not depend on it.
    seed
        Makes everything random repeatable.
    asked
        What is asked, plain data: limits, models, clusters.
    """

    out: Path
    source: str
    quick: bool = False
    jobs: int = 1
    seed: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write config.json, and take away what was made of another question or by other code."""
        cells = self._cells()
        if cells.begun_anew:
            print(
                f"{self.name}: question, code or versions are new; its cells are made anew", file=sys.stderr
            )
        if not cells.known:
            for folder in ("plans", "clusters"):
                shutil.rmtree(self.out / folder, ignore_errors=True)
        cells.begin()
        write_text(self.out / "config.json", dump_json(self.config), overwrite=True)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return Path(self.source).stem

    @property
    def command(self) -> str:
        """What a person types to get this again."""
        return f"partage reproduce {self.name}" + (" --quick" if self.quick else "")

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says."""
        words = {"experiment": self.name, "command": self.command, "quick": self.quick, "seed": self.seed}
        made = {name: text for name, text in versions().items() if name != "commit"}
        where = {name: value for name, value in machine().items() if name != "host"}
        return {**words, "asked": dict(self.asked), "versions": made, "machine": where}

    def _cells(self) -> Cells:
        words = {"asked": self.asked, "seed": self.seed, "quick": self.quick}
        code = code_digest(*_helpers(Path(self.source)))
        made = {name: text for name, text in versions().items() if name != "commit"}
        return Cells(self.out, {**words, "versions": made, "code": code})

    def cell(self, key: str, make: Make) -> Any:
        """Return a cell: the one that is kept, or made now.

        Parameters
        ----------
        key
            Its name, unique in the experiment.
        make
            Makes it: plain data.
        """
        return self.cells({key: make})[0]

    def cells(self, makes: Mapping[str, Make]) -> list[Any]:
        """Return cells in the order of their keys; those that are missing are made, several at a time.

        Parameters
        ----------
        makes
            Key to what makes the cell. With several jobs it is called in another process: a function of a
            module, or ``functools.partial`` of one.
        """
        return list(self._cells().make(makes, self.jobs).values())

    def problem(self, workload: str, cluster: Cluster, job: Job, **words: Any) -> Problem:
        """Return a problem whose plans can be evaluated from plans/.

        Parameters
        ----------
        workload
            Catalogue name.
        cluster
            One that is not of the catalogue is written to clusters/ under its name.
        job
            What is asked.
        words
            Further words of :class:`solver.problem.Problem`.
        """
        return Problem(
            catalog.workload(workload),
            cluster,
            job,
            workload_ref=workload,
            cluster_ref=cluster.name if _is_catalogued(cluster) else self._write_cluster(cluster),
            **words,
        )

    def _write_cluster(self, cluster: Cluster) -> str:
        data = cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        path = f"clusters/{cluster.name}.json"
        write_text(self.out / path, dump_json({"version": cluster.version, **data}), overwrite=True)
        return f"../{path}"

    def plan(self, name: str, plan: Plan) -> str:
        """Write a plan under plans/, and return its path in the result.

        Parameters
        ----------
        name
            Without suffix.
        plan
            Of a problem that :meth:`problem` gave.
        """
        path = f"plans/{name}.json"
        write_text(self.out / path, plan.to_json(), overwrite=True)
        return path

    def table(self, name: str, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
        """Write rows as NAME.csv.

        Parameters
        ----------
        name
            Without suffix.
        rows, columns
            See :func:`experiments.frame.tables.csv_text`.
        """
        write_text(self.out / f"{name}.csv", csv_text(rows, columns), overwrite=True)

    def figure(self, name: str, figure: Figure) -> None:
        """Write a figure as NAME.pdf and NAME.png, without dates, and close it.

        Parameters
        ----------
        name
            Without suffix; begins with ``measured`` if it shows what was measured.
        figure
            Made with :mod:`experiments.frame.plots`.
        """
        from experiments.frame.plots import save

        save(figure, self.out / name)

    def readme(self, *parts: str) -> None:
        """Write README.md, last of all: it says that the experiment is finished; unused clusters go.

        Parameters
        ----------
        parts
            Paragraphs, headings and tables, below the title (the experiment's first line). What was measured
            stands in columns or below headings that begin with ``measured``.
        """
        plans = "".join(path.read_text(encoding="utf-8") for path in self.out.glob("plans/*.json"))
        for path in self.out.glob("clusters/*.json"):
            if f"../clusters/{path.name}" not in plans:
                path.unlink()
        tree = ast.parse(Path(self.source).read_text(encoding="utf-8"))
        title = (ast.get_docstring(tree) or self.name).partition("\n")[0].rstrip(".")
        again = f"Made by `{self.command}`; `{self.command} --verify` makes it again and compares.\n"
        text = "\n\n".join([f"# {title}", again.strip(), *(part.strip() for part in parts)])
        write_text(self.out / "README.md", text + "\n", overwrite=True)


def _is_catalogued(cluster: Cluster) -> bool:
    try:
        return catalog.cluster(cluster.name).digest == cluster.digest
    except InputError:
        return False


def is_study(folder: Path) -> bool:
    """Return whether a folder is one that a study writes."""
    try:
        return "experiment" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _helpers(source: Path) -> tuple[str, ...]:
    """Return the files of experiments/ that an experiment's cells come from, its own among them."""
    folder, found, new = source.parent, set[str](), {source.name}
    while new:
        name = new.pop()
        found.add(name)
        for node in ast.walk(ast.parse((folder / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("experiments."):
                path = (node.module or "").split(".")[1:]
                places = [
                    "/".join(path) + ".py",
                    *("/".join((*path, one.name)) + ".py" for one in node.names),
                ]
                new |= {place for place in places if (folder / place).is_file()} - found
    return tuple(sorted(name for name in found if not name.startswith(SILENT)))
