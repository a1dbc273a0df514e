"""Tests of the classes of each task on Speech Commands.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMANDS,
    OTHER_WORDS,
    SILENCE,
    UNKNOWN,
    task_classes,
)


def test_classes_of_the_tasks():
    words = {word: [f"{word}/1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    extra = {**words, "tortoise": ["tortoise/1.wav"], "empty": []}
    classes, wanted, pool = task_classes("35", extra, False, "data")
    assert classes == wanted == sorted(words) and not pool
    classes, wanted, pool = task_classes("12", extra, True, "data")
    assert classes == [*COMMANDS, UNKNOWN, SILENCE]
    assert wanted == list(COMMANDS)
    assert sorted(pool) == sorted((*OTHER_WORDS, "tortoise"))
    own = {**words, UNKNOWN: ["1"], SILENCE: ["1"]}
    _, wanted, pool = task_classes("12", own, False, "data")
    assert wanted == classes and not pool
    classes, *_ = task_classes("folders", extra, False, "data")
    assert classes == sorted([*words, "tortoise"])


@pytest.mark.parametrize(
    "task, change, named",
    [
        ("35", {"bed": None}, "bed"),
        ("12", {"yes": []}, "yes"),
        ("12", {}, SILENCE),
        ("12", dict.fromkeys(OTHER_WORDS), UNKNOWN),
    ],
)
def test_what_is_missing_is_named(task, change, named):
    words = {word: ["1.wav"] for word in sorted(COMMANDS + OTHER_WORDS)}
    words.update(change)
    words = {word: clips for word, clips in words.items() if clips is not None}
    with pytest.raises(ValueError, match=named):
        task_classes(task, words, False, "data")
