#!/usr/bin/env python3
"""Prepares Speech Commands beforehand; train.py does so by itself.

> python recipes/SpeechCommands/speechcommands_prepare.py DATA PREPARED --task 35

Dataset: https://arxiv.org/abs/1804.03209

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import logging

from speechbrain_fftp.dataio.errors import one_line_errors
from speechbrain_fftp.datasets.speech_commands import (
    TASKS,
    prepare_speech_commands,
)

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--task", choices=TASKS, default="35")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--clip_seconds", type=float, default=1.0)
    with one_line_errors():
        prepare_speech_commands(**vars(parser.parse_args()))
