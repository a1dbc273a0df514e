"""Tests of the study's folds: no group in two splits, no clip left out.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import numpy as np
import pytest

FOLDS = (1, 2, 3, 4, 5, "search")


def make_clips():
    """Clips of 20 speakers: two of most words by each, and of silence."""
    from studies.folds import Clip

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
    from studies.folds import split

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
    from studies.folds import audioset_clips

    rows = ["a,Bark,100", "b,Bark,500", "c,Bark,115", "d,Siren,101"]
    text = "\n".join(["ytid,source_label,freesound_id", *rows])
    (tmp_path / "clips.csv").write_text(text, "utf-8")
    groups = {clip.name: clip.group for clip in audioset_clips(tmp_path)}
    assert groups["a"] == groups["c"]
    assert len(set(groups.values())) == 3


def test_large_folds_share_no_sources(shared):
    from studies import soundscapes

    data = [shared / "data" / x for x in ("speech_commands", "audioset_mini")]
    tested, everyone = [], set()
    for fold in (1, 2, 3, 4, 5, 6, "search"):
        splits, source_of = soundscapes.base_sounds(*data, fold)
        sources = {
            split: {source_of[x] for x in itertools.chain(*sounds.values())}
            for split, sounds in splits.items()
        }
        all_sources = set.union(*sources.values())
        assert len(all_sources) == sum(map(len, sources.values()))
        assert len(splits["train"]) == len(splits["eval"]) == 20
        if fold == "search":  # within what fold 1 is trained on
            assert not all_sources & tested[0]
        else:
            tested.append(sources["eval"])
            everyone |= all_sources
    assert set.union(*tested) == everyone
    assert sum(map(len, tested)) == len(everyone)


@pytest.mark.slow
def test_a_large_fold_is_the_same_on_any_machine(shared, tmp_path):
    import soundfile

    from studies import soundscapes

    data = shared / "data"
    folders = [data / x for x in ("speech_commands", "audioset_mini")]

    def mix(out, workers):
        """Mixes a small number of clips; returns the packs and sources."""
        sizes = ["--train=3", "--valid=2", "--eval=5"]
        words = [*folders, out, "--fold=2", *sizes, f"--num_workers={workers}"]
        soundscapes.main(list(map(str, words)))
        samples = [
            soundfile.read(path, dtype="int16")[0]
            for path in sorted((out / "wav").glob("*.wav"))
        ]
        return np.concatenate(samples), dict(np.load(out / "sources.npz"))

    samples, sources = mix(tmp_path / "one", 2)
    others, other_sources = mix(tmp_path / "two", 1)
    assert samples.shape == (10 * 160000,)
    assert np.array_equal(samples, others)
    for name in sources:
        assert np.array_equal(sources[name], other_sources[name])


def test_trials_go_on_beyond_the_edge(monkeypatch):
    from studies.plan import Plan

    plan = Plan("base", smoke=True)

    def best_at(best):
        """The rates that are tried where the best one is known."""
        distance = {}

        def find(run):
            rate = run.row.options["lr"]
            distance[rate] = abs(np.log(rate / best))
            return {"value": -distance[rate]}

        monkeypatch.setattr(plan, "find", find)
        return [trial["lr"] for trial in plan.trials_of("fftp")]

    usual = [5e-5, 1.5e-4, 4.5e-4]
    assert best_at(1.5e-4) == usual
    assert best_at(4.5e-4) == [*usual, 1.35e-3]
    assert best_at(5e-5) == [1.67e-5, *usual]
    assert best_at(1.0) == [*usual, 1.35e-3, 4.05e-3]  # five at most
    monkeypatch.setattr(plan, "find", lambda run: None)
    assert [trial["lr"] for trial in plan.trials_of("square")] == usual


def test_esc10_has_its_official_folds(shared, tmp_path):
    from speechbrain_fftp.datasets.audioset import read_classes
    from studies.folds import groups_of, make_fold

    data = shared / "data" / "esc10"
    tested = []
    for fold in FOLDS:
        dest = tmp_path / str(fold)
        splits = make_fold(data, fold, dest)
        clips = sum(splits.values(), [])
        groups = [{clip.group for clip in part} for part in splits.values()]
        assert sum(map(len, groups)) == len(set().union(*groups))
        for part in splits.values():
            assert len({clip.label for clip in part}) == 10
        if fold == "search":
            assert len(clips) == 320
            assert not any(clip.name.startswith("1-") for clip in clips)
            continue
        assert {len(part) for part in (clips, splits["test"])} == {400, 80}
        assert all(c.name.startswith(f"{fold}-") for c in splits["test"])
        tested += [clip.name for clip in splits["test"]]
        assert len(read_classes(dest)) == 10
    assert len(set(tested)) == 400
    # Two parts of a recording are a group
    names = ["1-17092-A", "1-17092-B", "2-17092-A"]
    assert groups_of(data, names) == ["1-17092", "1-17092", "2-17092"]
