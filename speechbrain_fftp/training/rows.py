"""The rows of a data set in arrays, which the workers of a loader share.

A worker that reads a Python object counts a reference in it, and so gets its own
copy of that page of memory: with a dictionary for each clip, each worker would
in time hold a copy of the whole table.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Mapping

import numpy as np


def store_in_arrays(dataset):
    """Replaces the rows of a ``DynamicItemDataset`` by ``Rows``.

    Its ids are numbers then, as those of an Arrow data set are in SpeechBrain;
    the ``id`` of a clip is a column.
    """
    if isinstance(dataset.data, Rows):  # already
        return
    ids = dataset.data_ids
    dataset.data = Rows(ids, [dataset.data[name] for name in ids])
    dataset.data_ids = range(len(ids))


class Rows(Mapping):
    """Rows with equal keys by their numbers, a column in an array each.

    Texts and floats, which ``load_data_csv`` gives, are shared.

    Arguments
    ---------
    ids : list of str
        The ids of the clips.
    rows : list of dict
        Their rows.

    Example
    -------
    >>> rows = Rows(["a", "b"], [{"duration": 1.5}, {"duration": 2.0}])
    >>> rows[1]
    {'duration': 2.0, 'id': 'b'}
    """

    def __init__(self, ids, rows):
        self.columns = {
            key: as_array([row[key] for row in rows])
            for key in next(iter(rows), ())
        }
        self.columns["id"] = as_array(ids)

    def __getitem__(self, number):
        return {
            key: column.item(number) for key, column in self.columns.items()
        }

    def __iter__(self):
        return iter(range(len(self)))

    def __len__(self):
        return len(self.columns["id"])


def as_array(values):
    """An array from which ``item`` gives the values as they were."""
    types = set(map(type, values))
    dtype = object
    if types == {str}:
        dtype = np.dtypes.StringDType()
    elif types == {float}:
        dtype = float
    return np.fromiter(values, dtype, len(values))
