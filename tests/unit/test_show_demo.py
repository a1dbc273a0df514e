"""Tests of the table that ``make demo`` ends with.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import show_demo

from fftp_tag.score.evaluate import LabelledClip
from fftp_tag.score.events import ClipEvents


def test_found_events_stand_beside_the_true_ones():
    """Right, missed, too short, and not there; in the order of time."""
    siren = ClipEvents(
        true=np.array([[5.0, 9.0], [0.0, 2.0]]),
        found=np.array([[0.5, 2.0], [5.0, 6.0]]),
    )
    beep = ClipEvents(np.zeros((0, 2)), np.array([[1.0, 3.0]]))
    paired = {"Siren": [siren], "Beep": [beep], "Hum": []}
    assert show_demo.list_rows(paired) == [
        ("Siren", [0.0, 2.0], [0.5, 2.0]),
        ("Beep", None, [1.0, 3.0]),
        ("Siren", None, [5.0, 6.0]),
        ("Siren", [5.0, 9.0], None),
    ]


def test_events_of_joined_clips_follow_each_other():
    wavs = [np.full(1000, 500, np.int16), np.full(500, -25, np.int16)]
    clips = [
        LabelledClip(name, ["Siren"], lambda wav=wav: (wav, 1000))
        for name, wav in zip("ab", wavs)
    ]
    truth = {"a": [(0.25, 0.5, "Siren")], "b": [(0.0, 0.25, "Hum")]}
    joined, events = show_demo.join_clips(clips, truth)
    np.testing.assert_array_equal(joined, np.concatenate(wavs))
    assert events == [(0.25, 0.5, "Siren"), (1.0, 1.25, "Hum")]
