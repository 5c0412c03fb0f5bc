"""Regression trees as a few small arrays, evaluated by numpy alone: no boosting library is needed to predict.

A row's leaf is found without walking: every inner node that sends the row right rules out the leaves of its
left branch, and the lowest leaf not ruled out is the row's (Lucchese et al., "QuickScorer: a fast algorithm to
rank documents with additive ensembles of regression trees", SIGIR 2015). Leaf values are integers of a common
power of two, so sums are exact, and a row gets the same prediction alone and in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray  # noqa: TC002  # msgspec reads the annotations of TreeEnsemble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecasting.features.rolling import Float32Array

__all__ = ["MAX_LEAVES", "TreeEnsemble"]

MAX_LEAVES = 16  # leaves ruled out are bits of a uint16
# Batches larger than this go node by node over columns, smaller ones over all nodes at once.
_SMALL = 64


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TreeEnsemble:
    """A sum of T trees of at most K leaves, each with K - 1 slots for inner nodes.

    Attributes:
        feature: Feature that each node looks at; uint8, shape (T, K - 1).
        threshold: Rows with a feature above it go right; inf in unused slots; float32, shape (T, K - 1).
        left: The node's left leaves as bits; uint16, shape (T, K - 1).
        leaf: Leaf values from left to right in units of 2 ** -exponent; int16, shape (T, K).
        exponent: See `leaf`.
        base: Added to the sum.
    """

    feature: NDArray[np.uint8]
    threshold: NDArray[np.float32]
    left: NDArray[np.uint16]
    leaf: NDArray[np.int16]
    exponent: int
    base: float

    def predict(self, x: Float32Array) -> NDArray[np.float64]:
        """The sum of the trees for each row of features; shape (N,)."""
        if not len(self.feature):
            return np.full(len(x), self.base)
        total = self._all_at_once(x) if len(x) <= _SMALL else self._by_node(x)
        return np.asarray(self.base + np.ldexp(total.astype(np.float64), -self.exponent))

    def _all_at_once(self, x: Float32Array) -> NDArray[np.int64]:
        right = x[:, self.feature.T] > self.threshold.T
        out = np.bitwise_or.reduce(right * self.left.T, axis=1)
        return np.asarray(self.leaf[np.arange(len(self.leaf)), _lowest_unset(out)].sum(axis=1, dtype=np.int64))

    def _by_node(self, x: Float32Array) -> NDArray[np.int64]:
        columns = np.ascontiguousarray(x.T)
        total = np.zeros(len(x), dtype=np.int64)
        for feature, threshold, left, leaf in zip(self.feature, self.threshold, self.left, self.leaf, strict=True):
            out = np.zeros(len(x), dtype=np.uint16)
            for node in np.flatnonzero(left):
                out |= (columns[feature[node]] > threshold[node]) * left[node]
            total += leaf[_lowest_unset(out)]
        return total

    @classmethod
    def of(cls, trees: Sequence[Mapping[str, Any]]) -> TreeEnsemble:
        """From a LightGBM model: the `tree_info` of its `dump_model()`.

        Thresholds are rounded to float32 and leaf values to 16 bits.

        Args:
            trees: One `{"tree_structure": ...}` each, with at most MAX_LEAVES leaves.
        """
        parsed = [_parsed(tree["tree_structure"]) for tree in trees]
        slots = max((len(leaves) for _, leaves in parsed), default=1)
        t = len(parsed)
        feature = np.zeros((t, slots - 1), dtype=np.uint8)
        threshold = np.full((t, slots - 1), np.inf, dtype=np.float32)
        left = np.zeros((t, slots - 1), dtype=np.uint16)
        values = np.zeros((t, slots))
        for i, (nodes, leaves) in enumerate(parsed):
            for j, node in enumerate(nodes):
                feature[i, j], threshold[i, j], left[i, j] = node
            values[i, : len(leaves)] = leaves
        # each tree's middle goes into the base, so that 16 bits are spent on what differs
        middle = np.array([(min(leaves) + max(leaves)) / 2 for _, leaves in parsed])
        values -= middle[:, None]
        for i, (_, leaves) in enumerate(parsed):
            values[i, len(leaves) :] = 0
        largest = float(np.abs(values).max(initial=0.0))
        exponent = int(np.clip(14 - np.ceil(np.log2(largest)), -30, 30)) if largest > 0 else 0
        leaf = np.rint(np.ldexp(values, exponent)).astype(np.int16)
        base = float(np.float32(middle.sum()))
        return cls(feature=feature, threshold=threshold, left=left, leaf=leaf, exponent=exponent, base=base)


def _lowest_unset(bits: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Position of the lowest bit that is 0."""
    return np.bitwise_count(bits & ~(bits + np.uint16(1)))


def _parsed(root: Mapping[str, Any]) -> tuple[list[tuple[int, float, int]], list[float]]:
    """Inner nodes as (feature, threshold, bits of the left branch's leaves), and leaf values left to right."""
    nodes: list[tuple[int, float, int]] = []
    leaves: list[float] = []

    def visit(node: Mapping[str, Any]) -> None:
        if "leaf_value" in node:
            leaves.append(float(node["leaf_value"]))
            return
        first = len(leaves)
        visit(node["left_child"])
        nodes.append((int(node["split_feature"]), float(node["threshold"]), (1 << len(leaves)) - (1 << first)))
        visit(node["right_child"])

    visit(root)
    return nodes, leaves
