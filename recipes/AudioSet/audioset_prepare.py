#!/usr/bin/env python3
r"""Prepares AudioSet or custom data: packs of 16-bit WAV, and manifests.

The data folder has AudioSet's own lists (balanced_train_segments.csv,
eval_segments.csv and, optionally, valid_segments.csv and
unbalanced_train_segments.csv) and, anywhere in it, the audio of each clip in a
file named after its id; or parquet shards with audio and labels. Without a
validation set, some of the training clips are held out for validation.

The training recipe prepares the data itself. The unbalanced set should be
prepared beforehand:
> python recipes/AudioSet/audioset_prepare.py DATA_FOLDER PREPARED_FOLDER \
>     --unbalanced --valid_fraction 0.01 --num_workers 8

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import logging

from speechbrain_fftp.dataio.errors import one_line_errors
from speechbrain_fftp.datasets.demo import prepare_demo
from speechbrain_fftp.datasets.prepare import prepare_data


@one_line_errors()
def prepare_audioset(data_folder=None, **options):
    """Prepares AudioSet or custom data, or without a folder, the demo set."""
    if data_folder is None:
        prepare_demo(**options)
    else:
        prepare_data(data_folder, **options)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--valid_fraction", type=float, default=0.05)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--test_fold")
    parser.add_argument("--allow_missing", type=float, default=0.2)
    parser.add_argument("--num_workers", type=int)
    prepare_audioset(**vars(parser.parse_args()))
