"""How training clips are stored, drawn and put into batches.

Authors
 * The speechbrain_fftp authors 2026
"""

from torch.utils.data import IterableDataset

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import (
    ReproducibleRandomSampler,
    ReproducibleWeightedRandomSampler,
)
from speechbrain_fftp.training.class_prior import count_labels


def open_clips(
    csv_path,
    replacements,
    format="flac",
    dynamic_items=(),
    output_keys=(),
    **stream_options,
):
    """Opens prepared training clips, as ``DynamicItemDataset.from_csv`` does.

    Arguments
    ---------
    csv_path : str
        Manifest of the clips.
    replacements : dict
        Values of variables in the manifest.
    format : str
        "flac" or, for tar shards, "webdataset".
    dynamic_items, output_keys : list
        As of a ``DynamicItemDataset``.
    **stream_options : dict
        Further arguments of ``stream_shards``.

    Returns
    -------
    DynamicItemDataset
    """
    if format == "webdataset":
        from speechbrain_fftp.datasets.shards import stream_shards

        return stream_shards(
            csv_path,
            dynamic_items=dynamic_items,
            output_keys=output_keys,
            **stream_options,
        )
    return DynamicItemDataset.from_csv(
        csv_path=csv_path,
        replacements=replacements,
        dynamic_items=dynamic_items,
        output_keys=output_keys,
    )


def loader_options(
    dataset,
    batch_size,
    num_workers,
    seed,
    class_balanced=False,
):
    """Options of the loader of the training clips, with its sampler if any.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The clips; shards are in a random order already.
    batch_size, num_workers, seed : int
    class_balanced : bool
        Whether to draw clips of rare classes more often: the weight of a clip
        is the sum of ``1 / count`` over its labels.

    Returns
    -------
    dict
        Arguments of ``DataLoader``.

    Raises
    ------
    ValueError
        If options cannot be combined.
    """
    if isinstance(dataset, IterableDataset):
        if class_balanced:
            raise ValueError(
                "class_balanced and format: webdataset cannot be combined."
            )
        return {"batch_size": batch_size, "num_workers": num_workers}
    sampler = ReproducibleRandomSampler(dataset, seed=seed)
    if class_balanced:
        sampler = ReproducibleWeightedRandomSampler(
            class_balanced_weights(dataset),
            num_samples=len(dataset),
            replacement=True,
            seed=seed,
        )
    return {
        "batch_size": batch_size,
        "num_workers": num_workers,
        "sampler": sampler,
    }


def class_balanced_weights(dataset):
    """Sampling weights of clips: the sum of ``1 / count`` over their labels."""
    counts = count_labels(dataset)
    return [
        sum(1 / counts[label] for label in set(row["labels"].split(";")))
        for row in dataset.data.values()
    ]
