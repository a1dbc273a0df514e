"""Tests of clips cut from background recordings.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

from speechbrain_fftp.datasets.speech_commands.clips import (
    cut_silence,
    recording_part,
)


def test_silence_of_splits_is_disjoint():
    samples = np.arange(1, 80001.0)
    places = {}
    for split in ("train", "valid", "test"):
        cuts = [cut_silence({"a": samples}, split, i, 4000) for i in range(30)]
        assert {len(cut) for cut in cuts} == {4000}
        volumes = [np.diff(cut).mean() for cut in cuts]  # of a ramp
        assert 0 < min(volumes) < 0.3 and 0.7 < max(volumes) < 1
        firsts = [round(cut[0] / v) for cut, v in zip(cuts, volumes)]
        assert len(set(firsts)) > 20
        places[split] = min(firsts), max(firsts) + 4000
        again = cut_silence({"a": samples}, split, 7, 4000)
        np.testing.assert_array_equal(again, cuts[7])
    assert 1 <= places["train"][0] and places["train"][1] <= 56001
    assert 56001 <= places["valid"][0] and places["valid"][1] <= 68001
    assert 68001 <= places["test"][0] and places["test"][1] <= 80001
    parts = [recording_part(samples, split) for split in places]
    np.testing.assert_array_equal(np.concatenate(parts), samples)
    short = cut_silence({"a": samples[:10000]}, "test", 0, 4000)
    assert len(short) == 1500
