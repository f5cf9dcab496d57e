"""Batch of graphs: score plans of a DAG of blocks, without writing their Programs down.

The family is that of :mod:`solver.batch`, but blocks form any DAG, cut along its topological order, and
devices may own raw data that is sent. Compiled code finds the stages, messages and rows of a plan; then the
very functions that order, write and walk a Program are called on them, so times are the evaluator's to the
last bit. :func:`solver.evaluate.evaluate` stays the only place where a score counts.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np

from solver.batch import BatchScorer, PackedPlans
from solver.batch_graph_tables import BlockTimes, make_graph_tables
from solver.batch_graph_walk import score_graphs
from solver.lowering.context import Context
from solver.program import Floats, Longs


class GraphScorer(BatchScorer):
    """Scores plans of one family over a DAG; parameters, figures and faults are those of the base.

    Notes
    -----
    Some ten microseconds a plan and what its instructions take: about 50 ns each. Memory does not grow with
    the number of plans, nor with the samples of a micro-batch.
    """

    def _prepare(self, context: Context) -> None:
        self._graph = make_graph_tables(context)
        self._times = BlockTimes(context)

    def with_samples(self, num_micro_batches: int, samples: int) -> GraphScorer:
        """Return a scorer of the same plans with other micro-batches; both stand on the same tables.

        Parameters
        ----------
        num_micro_batches, samples
            Micro-batches of a step, and samples of each.
        """
        other = copy(self)
        other.num_micro_batches, other.samples = num_micro_batches, samples
        (pipeline,) = self._base.pipelines
        changed = pipeline.model_copy(update={"micro_batches": num_micro_batches, "samples": samples})
        other._base = self._base.model_copy(update={"pipelines": (changed,)})
        return other

    def _fill(self, plans: PackedPlans, figures: Any, peaks: Longs, joules: Floats) -> None:
        rows = self._times.rows(plans.shares.max(axis=1))
        rule = (self.num_micro_batches, self.settings.prefetch, self.settings.sync, len(joules) > 0)
        packed = (plans.num_stages, plans.ends, plans.shares, self._given_caps(plans), rows)
        score_graphs(rule, tuple(self._graph), self._times.table, packed, figures, peaks, joules)

    def _given_caps(self, plans: PackedPlans) -> Longs:
        """Return the caps that plans give; 0 for the default of 1F1B."""
        if self._base.schedule == "gpipe":
            return np.full(plans.ends.shape, self.num_micro_batches, np.int64)
        return np.zeros(plans.ends.shape, np.int64) if plans.caps is None else plans.caps
