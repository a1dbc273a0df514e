#!/usr/bin/env python3
r"""Prepares AudioSet: 16 kHz mono FLAC files and SpeechBrain manifests.

The data folder has AudioSet's own lists (balanced_train_segments.csv,
eval_segments.csv and, optionally, valid_segments.csv and
unbalanced_train_segments.csv) and, anywhere in it, the audio of each clip in a
file named after its id, or in tar shards; or it has parquet or tar shards that
hold the labels as well. Without a validation set, some of the training clips are
held out for validation.

The training recipe prepares the balanced set itself. The unbalanced set should
be prepared beforehand, with its training clips in tar shards (WebDataset):
> python recipes/AudioSet/audioset_prepare.py DATA_FOLDER PREPARED_FOLDER \
>     --format webdataset --unbalanced --valid_fraction 0.01 --num_workers 8

Dataset: https://research.google.com/audioset

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import logging

from speechbrain_fftp.datasets.audioset.prepare import prepare_audioset
from speechbrain_fftp.datasets.manifests import STORAGE_FORMATS, VALID_FRACTION

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--valid_fraction", type=float, default=VALID_FRACTION)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--format", choices=STORAGE_FORMATS, default="flac")
    parser.add_argument("--clips_per_shard", type=int, default=1000)
    parser.add_argument("--allow_missing", type=float, default=0.2)
    parser.add_argument("--num_workers", type=int)
    prepare_audioset(**vars(parser.parse_args()))
