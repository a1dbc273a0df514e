"""Tests of the study's soundscapes: no source in two splits, none left out.

Authors
 * The speechbrain_fftp authors 2026
"""


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
