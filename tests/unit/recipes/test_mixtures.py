"""Tests of mixtures of sounds; those of the starter's recipe test them as well.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import numpy as np
import pytest
from mixtures import FADE, RATE, Mixer, Sound


def test_sounds_of_a_class_do_not_overlap_and_stand_out_by_their_snr():
    noise = np.random.default_rng(0).standard_normal(20 * RATE)
    tone = np.sin(2 * np.pi * 1000 * np.arange(3 * RATE) / RATE)
    sounds = {"valid": [Sound(("a",), 0.1 * tone)]}
    mixer = Mixer(sounds, {"valid": [noise], "train": []}, {"a": "A"}, seed=0)
    for number in range(50):
        drawn = mixer.draw(str(number), "valid")
        events = sorted(drawn.events, key=lambda event: event.start)
        for one, other in itertools.pairwise(events):
            assert one.end <= other.start
        alone = mixer.mix(drawn._replace(events=[]))
        for event in events:
            mixed = mixer.mix(drawn._replace(events=[event]))
            heard = (mixed - alone)[event.start : event.end]
            snr = 20 * np.log10(heard.std() / alone.std())
            assert snr == pytest.approx(event.snr, abs=0.5)
            # Faded in and out
            edges = np.abs(heard[: FADE // 8]).max(), np.abs(heard[-9:]).max()
            assert max(edges) < 0.2 * np.abs(heard).max()
