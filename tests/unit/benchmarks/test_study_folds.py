"""Tests of the study's folds: no group in two splits, no clip left out.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import numpy as np

FOLDS = (1, 2, 3, 4, 5, "search")


def make_clips():
    """Clips of 20 speakers: two of most words by each, and of silence."""
    from study.folds import Clip

    rng = np.random.default_rng(0)
    clips = [Clip(f"silence/{i}", "silence", str(i)) for i in range(16)]
    for speaker, word, take in itertools.product(
        range(20), ("yes", "no", "up"), range(2)
    ):
        if rng.uniform() < 0.8:
            name = f"{word}/{speaker}_{take}"
            clips.append(Clip(name, word, f"speaker {speaker}"))
    return clips


def test_each_clip_is_tested_once_by_a_model_without_its_group():
    from study.folds import split

    clips = make_clips()
    found = {fold: split(clips, fold) for fold in FOLDS}
    tests = [clip for fold in FOLDS[:5] for clip in found[fold]["test"]]
    assert sorted(tests) == sorted(clips)
    for fold, parts in found.items():
        groups = [{clip.group for clip in part} for part in parts.values()]
        assert sum(map(len, groups)) == len(set().union(*groups))
        if fold != "search":
            assert sorted(sum(parts.values(), [])) == sorted(clips)
            labels = {clip.label for clip in parts["train"]}
            assert labels == {clip.label for clip in clips}
    # Options are chosen without the test clips of fold 1
    inner = sorted(itertools.chain(*found["search"].values()))
    assert inner == sorted(set(clips) - set(found[1]["test"]))
    assert set(found["search"]["test"]) < set(found[1]["train"])
    assert split(list(clips), "2") == found[2]


def test_clips_with_close_numbers_are_of_one_session(tmp_path):
    from study.folds import audioset_clips

    rows = ["a,Bark,100", "b,Bark,500", "c,Bark,115", "d,Siren,101"]
    text = "\n".join(["ytid,source_label,freesound_id", *rows])
    (tmp_path / "clips.csv").write_text(text, "utf-8")
    groups = {clip.name: clip.group for clip in audioset_clips(tmp_path)}
    assert groups["a"] == groups["c"]
    assert len(set(groups.values())) == 3


def test_a_second_partition_divides_the_sounds_of_the_first_anew(shared):
    import soundscapes

    data = [shared / "data" / x for x in ("speech_commands", "audioset_mini")]
    folds = soundscapes.fold_sounds(*data, partitions=2)
    assert list(folds) == [1, 2, 3, "search", 4, 5, 6]
    first = soundscapes.fold_sounds(*data)
    assert all(first[fold] == folds[fold] for fold in first)

    def sounds(fold, split):
        return set(itertools.chain(*folds[fold][split].values()))

    for partition in ((1, 2, 3), (4, 5, 6)):
        tests = [sounds(fold, "eval") for fold in partition]
        assert sum(map(len, tests)) == len(set.union(*tests))
        for fold, test in zip(partition, tests):
            assert not test & (sounds(fold, "train") | sounds(fold, "valid"))
    tested = [sounds(fold, "eval") for fold in (1, 2, 3, 4, 5, 6)]
    assert set.union(*tested[:3]) == set.union(*tested[3:])
    assert not any(new == old for new in tested[3:] for old in tested[:3])
    assert not set.union(*tested) & sounds("search", "train")
