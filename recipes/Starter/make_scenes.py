#!/usr/bin/env python3
"""Makes scenes with known sounds, by which the starter's rules are learnt.

They are mixed as in training, but of the recordings for validation, which neither
training nor a test uses. The classes of a scene are those that a teacher hears in
it, and the true ones of its recordings.

> python recipes/Starter/make_scenes.py PREPARED OUT --teacher MODEL
> python studies/learn_rules.py MODEL.onnx OUT STARTER.onnx

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
from pathlib import Path

import soundfile
from mixtures import Mixtures
from starter_prepare import RATE

from fftp_tag.data.custom import CLIP_LIST
from fftp_tag.files import write_csv
from speechbrain.dataio.dataio import load_data_csv

SECONDS = 10
SEED = 1
HEARD = 0.3  # probability at which the teacher hears a class


def main():
    """Writes the scenes and their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument(
        "--weights", type=json.loads, help='of folders, such as {"music": 2}'
    )
    args = parser.parse_args()
    rows = load_data_csv(
        args.prepared / "valid.csv", {"data_root": str(args.prepared)}
    )
    clips = Mixtures(
        rows,
        args.teacher,
        size=args.scenes,
        seed=SEED,
        sample_rate=RATE,
        weights=args.weights,
        seconds=SECONDS,
    )
    (args.out / "audio").mkdir(parents=True)
    table = []
    for number in range(args.scenes):
        clip = clips[number]
        path = Path("audio", f"{number:04d}.flac")
        soundfile.write(args.out / path, clip["sig"].numpy(), RATE)
        heard = (clip["targets"] >= HEARD).nonzero()[:, 0]
        labels = ";".join(clips.teacher.model.labels[place] for place in heard)
        table.append((path, labels, f"scene{number}"))
    write_csv(args.out / CLIP_LIST, ("path", "labels", "group"), table)
    print(f"{len(table)} scenes in {args.out}")


if __name__ == "__main__":
    main()
