"""How like the clips of a class, the nearest one, a span is.

A linear classifier tells on which side of a boundary a sound is, however far it is
from all that was learnt; a sound of a class is also near a clip of it.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fftp_tag.model.spans import OUTPUT

if TYPE_CHECKING:
    from fftp_tag.model.graphs import GraphBuilder

SHRINKAGE = 0.3  # of the covariance: 0.6 and 0.85 were as accurate
# Of the likeness in logits, before calibration. Of 90 to 1440, the best with few
# clips of digits and of kitchens: see studies/results/tables
WEIGHT = 1440.0
NO_CLIP = -1.0  # the likeness to a class without clips
MIN_LENGTH = 1e-9  # of a vector that is divided by its length


class Space(NamedTuple):
    """Features in which clips of a class vary alike in all directions.

    Arguments
    ---------
    columns : numpy.ndarray
        Indices of the features that are used, ``[D]``.
    mean : numpy.ndarray
        Of these, ``[D]``.
    projection : numpy.ndarray
        ``[D, D]``.
    """

    columns: np.ndarray
    mean: np.ndarray
    projection: np.ndarray

    def vectors(self, features: np.ndarray) -> np.ndarray:
        """Features ``[N, F]`` as vectors ``[N, D]``."""
        return (features[:, self.columns] - self.mean) @ self.projection


def find_space(
    features: np.ndarray, classes: np.ndarray, columns: np.ndarray
) -> Space:
    """Whitens features by their covariance within classes, which is shrunk.

    Arguments
    ---------
    features, classes : numpy.ndarray
        Features ``[clips, F]`` and class indices ``[clips]``.
    columns : numpy.ndarray
        Indices of the features that are used.
    """
    from scipy.linalg import cholesky, solve_triangular
    from sklearn.covariance import empirical_covariance, shrunk_covariance
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler(copy=False)
    inputs = scaler.fit_transform(features[:, columns].astype(np.float64))
    known, numbers = np.unique(classes, return_inverse=True)
    means = np.stack([inputs[numbers == n].mean(0) for n in range(len(known))])
    with threadpool_limits(1):  # the arrays are too small for more threads
        covariance = shrunk_covariance(
            empirical_covariance(inputs - means[numbers], assume_centered=True),
            SHRINKAGE,
        )
        root = cholesky(covariance, lower=True)
        projection = solve_triangular(
            root, np.diag(1 / scaler.scale_), lower=True
        )
    return Space(columns, scaler.mean_, projection.T)


@dataclasses.dataclass(frozen=True)
class Likeness:
    """The cosine to the nearest clip of each class.

    Arguments
    ---------
    space : Space
    clips : numpy.ndarray
        Clips that were learnt from, as vectors ``[R, D]`` of the length 1.
    members : numpy.ndarray
        The indices of each class's clips, ``[C, M]``; R: there is none.
    weight : float
        What the cosine is multiplied with, in logits.
    """

    space: Space
    clips: np.ndarray
    members: np.ndarray
    weight: float = WEIGHT

    def of(self, features: np.ndarray) -> np.ndarray:
        """The likeness ``[N, C]`` of spans with features ``[N, F]``."""
        cosines = unit(self.space.vectors(features)) @ self.clips.T
        cosines = np.pad(cosines, ((0, 0), (0, 1)), constant_values=NO_CLIP)
        return self.weight * cosines[:, self.members].max(2)

    def add_to(self, build: "GraphBuilder") -> str:
        """Adds the likeness ``[B, N, C]`` of the spans of a span model."""
        features = build.Gather(OUTPUT, self.space.columns, axis=2)
        centred = build.Sub(features, np.float32(self.space.mean))
        vectors = build.MatMul(centred, np.float32(self.space.projection))
        length = build.ReduceL2(vectors, np.array([2]), keepdims=1)
        vectors = build.Div(vectors, build.Max(length, np.float32(MIN_LENGTH)))
        cosines = build.MatMul(vectors, np.float32(self.clips.T))
        one_more = np.array([0, 0, 0, 0, 0, 1])
        cosines = build.Pad(cosines, one_more, np.float32(NO_CLIP))
        of_classes = build.Gather(cosines, self.members, axis=2)
        nearest = build.ReduceMax(of_classes, np.array([3]), keepdims=0)
        return build.Mul(nearest, np.float32(self.weight))


def learn_likeness(
    space: Space, features: np.ndarray, classes: np.ndarray, n_classes: int
) -> Likeness:
    """The likeness to clips with features ``[R, F]`` and class indices ``[R]``."""
    counts = np.bincount(classes, minlength=n_classes)
    members = np.full((n_classes, counts.max()), len(classes))
    for c, count in enumerate(counts):
        members[c, :count] = np.flatnonzero(classes == c)
    return Likeness(space, unit(space.vectors(features)), members)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[N, D]`` divided by their lengths."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, MIN_LENGTH)
