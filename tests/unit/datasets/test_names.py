"""Tests of ids and other texts made of names.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
import re

import pytest

from speechbrain_fftp.datasets.names import clip_ids


@pytest.mark.parametrize("seed", range(10))
def test_ids_are_names_of_different_files(seed):
    draw = random.Random(seed)
    letters = "abAB1-_./ \\é犬\0\n$:\udcff"
    paths = {
        "".join(draw.choices(letters, k=draw.choice([1, 2, 3, 150])))
        for _ in range(draw.randint(1, 40))
    }
    ids = clip_ids(sorted(paths))
    assert set(ids) == paths
    assert len({name.lower() for name in ids.values()}) == len(paths)
    for name in ids.values():
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,116}", name)


def test_ids_of_similar_paths():
    paths = ["a/b.wav", "a_b.flac", "A/B.wav", "a/c.wav", "-d.wav", "é/è.wav"]
    ids = clip_ids(paths)
    for path in paths[:3]:
        assert re.fullmatch("a_b-[0-9a-f]{16}", ids[path], re.IGNORECASE)
    assert [ids[path] for path in paths[3:]] == ["a_c", "_d", "_"]
    again = clip_ids(paths[::-1])
    assert again == ids
    assert len(clip_ids(["x" * 300 + ".wav"])["x" * 300 + ".wav"]) == 117
    paths = ["dog/1.wav", "dog/it barks!.wav", "dog 1.wav"]
    assert list(clip_ids(paths).values()) == [
        "dog_1-3fa291799751c061",
        "dog_it_barks_",
        "dog_1-a0600b84b6128e98",
    ]
