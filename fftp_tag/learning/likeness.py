"""How like the clips of a class, the nearest ones, a span is.

A linear classifier tells on which side of a boundary a sound is, however far it is
from all that was learnt; a sound of a class is also near some clips of it.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fftp_tag.model.spans import OUTPUT

if TYPE_CHECKING:
    from fftp_tag.model.graphs import GraphBuilder

FAR = -1.0  # the cosine of what is not there
TINY = 1e-9  # length of a vector, to divide by


@dataclasses.dataclass(frozen=True)
class Likeness:
    """The mean cosine to the nearest clips of each class.

    Arguments
    ---------
    projection, centre : numpy.ndarray
        Of features, ``[F, D]``, and what is then subtracted, ``[D]``.
    clips : numpy.ndarray
        Clips that were learnt from, as vectors ``[R, D]`` of the length 1.
    members : numpy.ndarray
        The indices of each class's clips, ``[C, M]``; R: there is none.
    neighbours : int
        How many of the nearest clips count.
    weight : float
        What the likeness is multiplied with, in logits.
    """

    projection: np.ndarray
    centre: np.ndarray
    clips: np.ndarray
    members: np.ndarray
    neighbours: int
    weight: float

    def of(self, features: np.ndarray) -> np.ndarray:
        """The likeness ``[N, C]`` of spans with features ``[N, F]``."""
        vectors = unit(features @ self.projection - self.centre)
        cosines = np.pad(
            vectors @ self.clips.T, ((0, 0), (0, 1)), constant_values=FAR
        )
        of_classes = np.sort(cosines[:, self.members], axis=2)
        return of_classes[:, :, -self.neighbours :].mean(2)

    def add_to(self, build: "GraphBuilder") -> str:
        """Adds the likeness ``[B, N, C]`` of spans, in logits."""
        projection = np.float32(self.projection)
        vectors = build.MatMul(OUTPUT, projection)
        vectors = build.Sub(vectors, np.float32(self.centre))
        length = build.ReduceL2(vectors, np.array([2]), keepdims=1)
        vectors = build.Div(vectors, build.Max(length, np.float32(TINY)))
        cosines = build.MatMul(vectors, np.float32(self.clips.T))
        last = np.array([0, 0, 0, 0, 0, 1])
        cosines = build.Pad(cosines, last, np.float32(FAR))
        of_classes = build.Gather(cosines, self.members, axis=2)
        nearest, _ = build.TopK(of_classes, np.array([self.neighbours]))
        mean = build.ReduceMean(nearest, np.array([3]), keepdims=0)
        return build.Mul(mean, np.float32(self.weight))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[N, D]`` divided by their lengths."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, TINY)


def list_members(
    classes: np.ndarray, n_classes: int, neighbours: int
) -> np.ndarray:
    """Indices ``[C, M]`` of each class's clips, see ``Likeness``.

    Those of a class with fewer clips than neighbours are repeated.
    """
    most = np.bincount(classes, minlength=n_classes).max(initial=neighbours)
    members = np.full((n_classes, most), len(classes))
    for c in range(n_classes):
        own = np.flatnonzero(classes == c)
        if len(own):
            own = np.resize(own, max(len(own), neighbours))
        members[c, : len(own)] = own
    return members
