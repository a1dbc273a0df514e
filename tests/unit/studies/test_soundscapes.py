"""Tests of the study's soundscapes: no source in two splits, none left out.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest


def test_clips_with_close_numbers_are_of_one_session(tmp_path):
    from studies.soundscapes import list_instruments

    rows = ["a,Bark,100", "b,Bark,500", "c,Bark,115", "d,Siren,101"]
    text = "\n".join(["ytid,source_label,freesound_id", *rows])
    (tmp_path / "clips.csv").write_text(text, "utf-8")
    groups = {x.path.stem: x.group for x in list_instruments(tmp_path)}
    assert groups["a"] == groups["c"]
    assert len(set(groups.values())) == 3


def test_folds_share_no_sources(shared):
    from studies.soundscapes import split_clips

    tested, everyone = [], set()
    for fold in (1, 2, 3, 4, 5, 6, "search"):
        splits = split_clips(shared / "data", fold)
        sources = {
            split: {clip.group for clip in clips}
            for split, clips in splits.items()
        }
        all_sources = set.union(*sources.values())
        assert len(all_sources) == sum(map(len, sources.values()))
        for split in ("train", "eval"):
            assert len({clip.label for clip in splits[split]}) == 20
        if fold == "search":  # within what fold 1 is trained on
            assert not all_sources & tested[0]
        else:
            tested.append(sources["eval"])
            everyone |= all_sources
    assert set.union(*tested) == everyone
    assert sum(map(len, tested)) == len(everyone)


@pytest.mark.slow
def test_listed_sources_are_those_of_the_labels(shared, tmp_path):
    from fftp_tag.data.class_lists import read_classes_csv
    from fftp_tag.data.tables import read_table
    from studies.soundscapes import mix_fold, split_clips

    sizes = {"train": 2, "valid": 2, "eval": 40}
    mix_fold(shared / "data", tmp_path / "mixed", 2, sizes)
    names = list(read_classes_csv(tmp_path / "mixed").values())
    listed = [set() for _ in range(sizes["eval"])]
    sources = np.load(tmp_path / "mixed" / "sources.npz")
    for clip, label in zip(sources["clips"], sources["classes"]):
        listed[clip].add(names[label])
    table = read_table(tmp_path / "mixed" / "eval.csv", ("labels",))
    labels = [set(filter(None, row["labels"].split(";"))) for _, row in table]
    assert labels == listed
    groups = {x.group for x in split_clips(shared / "data", 2)["eval"]}
    assert set(sources["sources"].tolist()) <= groups
