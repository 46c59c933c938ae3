"""Boosted trees as plain arrays: a row's prediction takes microseconds, where scikit-learn's own call takes 1,000."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecasting.kernel import kernel
from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]


class Forest(NamedTuple):
    """The nodes of all trees, one after the other.

    Attributes:
        baseline: prediction before any tree.
        roots: index of each tree's root, shape (trees,).
        feature: column that a node looks at, -1 in a leaf, shape (nodes,).
        threshold: a row goes left when its value is not above it, shape (nodes,).
        left, right: index of the next node, shape (nodes,).
        value: what a leaf adds, shape (nodes,).
    """

    baseline: float
    roots: IntArray
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    value: FloatArray


def forest_of(trees: Sequence[npt.NDArray[np.void]], baseline: float, columns: IntArray) -> Forest:
    """A forest from scikit-learn's node records (`TreePredictor.nodes`), for rows without missing values.

    Args:
        trees: one structured array per tree; children are counted from the tree's root.
        baseline: prediction before any tree.
        columns: column of a row for each feature that the trees were grown on.
    """
    sizes = np.array([len(nodes) for nodes in trees], dtype=np.int64)
    roots = np.cumsum(sizes) - sizes
    offsets = np.repeat(roots, sizes)
    nodes = np.concatenate(trees)
    leaf = nodes["is_leaf"].astype(bool)
    feature = np.where(leaf, -1, columns[np.where(leaf, 0, nodes["feature_idx"])])
    return Forest(
        baseline=baseline,
        roots=roots,
        feature=feature.astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64) + offsets,
        right=nodes["right"].astype(np.int64) + offsets,
        value=nodes["value"].astype(np.float64),
    )


def constant_forest(value: float) -> Forest:
    """A forest without trees, which says `value`."""
    nothing, none = np.empty(0), np.empty(0, dtype=np.int64)
    return Forest(value, none, none, nothing, none, none, nothing)


@kernel()
def forest_value(forest: Forest, row: FloatArray) -> float:
    """Prediction for one row, shape (columns,), without NaN."""
    total = forest.baseline
    for root in forest.roots:
        node = root
        while forest.feature[node] >= 0:
            node = forest.left[node] if row[forest.feature[node]] <= forest.threshold[node] else forest.right[node]
        total += forest.value[node]
    return float(total)
