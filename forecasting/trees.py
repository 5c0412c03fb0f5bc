"""Regression trees as a few small arrays, evaluated by numpy alone: no boosting library is needed to predict.

A row's leaf is found without walking: every inner node that sends the row right rules out the leaves of its
left branch, and the lowest leaf not ruled out is the row's (Lucchese et al., "QuickScorer: a fast algorithm to
rank documents with additive ensembles of regression trees", SIGIR 2015). Leaf values are integers of a common
power of two, so sums are exact, and a row gets the same prediction alone and in a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray  # noqa: TC002  # msgspec reads the annotations of TreeEnsemble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecasting.features.rolling import Float32Array

__all__ = ["MAX_LEAVES", "Forest", "TreeEnsemble"]

MAX_LEAVES = 16  # leaves ruled out are bits of a uint16
# Rows that are looked at together: what they need of an ensemble must not outgrow the processor's nearer memory.
_ROWS = 512
_FEW = 64


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
        return Forest.of([self]).predict(x)[:, 0]

    @classmethod
    def of(cls, model: str) -> TreeEnsemble:
        """From a LightGBM model, as its `model_to_string()` writes it down.

        Thresholds are rounded to float32 and leaf values to 16 bits.

        Args:
            model: Its text: trees of at most MAX_LEAVES leaves. Empty: no trees.
        """
        parsed = [_parsed(tree) for tree in model.split("\nTree=")[1:]]
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Forest:
    """Several ensembles on the same features, walked at once: a walk of T trees takes hardly longer than one of T / 6.

    Attributes:
        feature: Feature that each node of the T trees looks at; uint8, shape (K - 1, T).
        threshold: As of `TreeEnsemble`; float32, shape (K - 1, T).
        left: As of `TreeEnsemble`; uint16, shape (K - 1, T).
        leaf: As of `TreeEnsemble`; int16, shape (T, K).
        ends: How many of the trees belong to each ensemble and those before it; M of them.
        exponents: Of each ensemble.
        bases: Of each ensemble.
    """

    feature: NDArray[np.uint8]
    threshold: NDArray[np.float32]
    left: NDArray[np.uint16]
    leaf: NDArray[np.int16]
    ends: tuple[int, ...]
    exponents: tuple[int, ...]
    bases: tuple[float, ...]

    @classmethod
    def of(cls, ensembles: Sequence[TreeEnsemble]) -> Forest:
        """These ensembles, in this order."""
        leaves = max(one.leaf.shape[1] for one in ensembles)

        def joined(name: str, width: int, filler: float) -> NDArray[Any]:
            tables = [getattr(one, name) for one in ensembles]
            return np.concatenate([
                np.pad(table, ((0, 0), (0, width - table.shape[1])), constant_values=filler) for table in tables
            ])  # fmt: skip

        return cls(
            feature=np.ascontiguousarray(joined("feature", leaves - 1, 0).T),
            threshold=np.ascontiguousarray(joined("threshold", leaves - 1, np.inf).T),
            left=np.ascontiguousarray(joined("left", leaves - 1, 0).T),
            leaf=joined("leaf", leaves, 0),
            ends=tuple(np.cumsum([len(one.leaf) for one in ensembles]).tolist()),
            exponents=tuple(one.exponent for one in ensembles),
            bases=tuple(one.base for one in ensembles),
        )

    def predict(self, x: Float32Array) -> NDArray[np.float64]:
        """The sums of the ensembles' trees for each row of features; shape (N, M)."""
        total = self._few(x) if len(x) <= _FEW else self._many(x)
        return np.asarray(np.ldexp(total.astype(np.float64), -np.array(self.exponents)) + np.array(self.bases))

    # `take` that clips is several times faster than indexing; every feature is a column of x in any case

    def _few(self, x: Float32Array) -> NDArray[np.int64]:
        """Sums of leaf values; a row's nodes lie side by side."""
        right = x.take(self.feature.astype(np.intp), axis=1, mode="clip") > self.threshold
        found = self._leaves(np.bitwise_or.reduce(right * self.left, axis=1), self._first)
        sums = np.zeros((len(x), found.shape[1] + 1), dtype=np.int64)
        np.cumsum(found, axis=1, out=sums[:, 1:])
        return np.diff(sums[:, (0, *self.ends)], axis=1)

    def _many(self, x: Float32Array) -> NDArray[np.int64]:
        """The same; a node's rows lie side by side."""
        out = np.empty((len(x), len(self.ends)), dtype=np.int64)
        feature = self.feature.astype(np.intp)
        for at in range(0, len(x), _ROWS):
            columns = np.ascontiguousarray(x[at : at + _ROWS].T)
            for place, trees in enumerate(starmap(slice, pairwise((0, *self.ends)))):
                out_of = _ruled_out(columns, feature[:, trees], self.threshold[:, trees], self.left[:, trees])
                found = self._leaves(out_of, self._first[trees, None])
                out[at : at + _ROWS, place] = found.sum(axis=0, dtype=np.int32)
        return out

    @property
    def _first(self) -> NDArray[np.intp]:
        """Where each tree's leaf values begin."""
        return np.arange(0, self.leaf.size, self.leaf.shape[1])

    def _leaves(self, ruled_out: NDArray[np.uint16], first: NDArray[np.intp]) -> NDArray[np.int16]:
        """Values of the lowest leaves that are not ruled out; of the same shape."""
        lowest = np.bitwise_count(ruled_out & ~(ruled_out + np.uint16(1)))
        return self.leaf.ravel().take(lowest + first, mode="clip")


def _ruled_out(
    columns: Float32Array, feature: NDArray[np.intp], threshold: Float32Array, left: NDArray[np.uint16]
) -> NDArray[np.uint16]:
    """Leaves ruled out, as bits; shape (trees, rows).

    Args:
        columns: Features; shape (F, rows).
        feature: As of `Forest`, as are the others; shape (K - 1, trees).
        threshold: The same.
        left: The same.
    """
    shape = (feature.shape[1], columns.shape[1])
    out, bits = np.zeros(shape, dtype=np.uint16), np.empty(shape, dtype=np.uint16)
    seen, right = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=bool)
    for looked_at, above, lower in zip(feature, threshold[..., None], left[..., None], strict=True):
        columns.take(looked_at, axis=0, out=seen, mode="clip")
        np.greater(seen, above, out=right)
        np.multiply(right, lower, out=bits)
        np.bitwise_or(out, bits, out=out)
    return out


def _parsed(tree: str) -> tuple[list[tuple[int, float, int]], list[float]]:
    """Inner nodes as (feature, threshold, bits of the left branch's leaves), and leaf values left to right."""
    told = dict(line.split("=", 1) for line in tree.split("\n\n", 1)[0].splitlines()[1:])
    values = told["leaf_value"].split()
    features, thresholds, left, right = (
        told[name].split() for name in ("split_feature", "threshold", "left_child", "right_child")
    )
    nodes: list[tuple[int, float, int]] = []
    leaves: list[float] = []

    def visit(node: int) -> None:
        if node < 0:  # a leaf, counted backwards from -1
            leaves.append(float(values[-1 - node]))
            return
        first = len(leaves)
        visit(int(left[node]))
        nodes.append((int(features[node]), float(thresholds[node]), (1 << len(leaves)) - (1 << first)))
        visit(int(right[node]))

    visit(0 if features else -1)
    return nodes, leaves
