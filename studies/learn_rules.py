#!/usr/bin/env python3
"""Learns the starter's thresholds on scenes with known sounds, see recipes/Starter/make_scenes.py.

As ``fftp-tag calibrate``; but tags and events of rare classes, whose thresholds by a
few clips would be lower, are at least as probable as is said here, since most
false alarms were of these.

> python studies/learn_rules.py MODEL.onnx SCENES OUT.onnx

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import dataclasses

import numpy as np

from fftp_tag.learning.calibrate import calibrate
from fftp_tag.model.edit import copy_model
from fftp_tag.model.session import Model

TAG, EVENT = 0.2, 0.4  # least probabilities
CREDIT = (
    "The encoder has learnt from mn04_as of EfficientAT (Florian Schmid, Khaled "
    "Koutini, Gerhard Widmer; MIT licence), and from recordings under CC BY, CC0, "
    "OGA-BY, MIT and BSD 3-Clause licences, whose authors are listed in "
    "fftp_tag/starter/attribution.csv of the package speechbrain_fftp."
)


def main():
    """Writes the model with its rules."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("scenes")
    parser.add_argument("out")
    args = parser.parse_args()
    found = calibrate(args.model, args.scenes, args.out, progress=True)
    rules = dataclasses.replace(
        found.rules,
        threshold=np.maximum(found.rules.threshold, np.float32(TAG)),
        high=np.maximum(found.rules.high, np.float32(EVENT)),
    )
    info = dataclasses.replace(Model(args.out).info, rules=rules, credit=CREDIT)
    copy_model(args.out, args.out, info)
    for name, scores in (("before", found.before), ("learnt", found.after)):
        print(name, {key: round(value, 3) for key, value in scores.f1.items()})


if __name__ == "__main__":
    main()
