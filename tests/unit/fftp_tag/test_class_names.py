"""Tests of the names of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest

from fftp_tag.data.class_names import are_class_names, class_name, class_names
from fftp_tag.errors import InputError


def test_white_space_and_accents_have_one_form():
    assert class_name("\u00a0Door\u202f \tbell\n") == "Door bell"
    assert class_name("Tu\u0308r") == "T\u00fcr"
    assert class_names([" b", "a", "", "b\u00a0"]) == ("b", "a")


@pytest.mark.parametrize(
    "name",
    ["", "\u00a0", "a;b", "$a", "a => b", "a\x1b", "a\u200bb", "x" * 201],
)
def test_names_that_cannot_be(name):
    with pytest.raises(InputError, match="clips.csv, line 3: rename"):
        class_name(name, "clips.csv, line 3")
    assert not are_class_names([name])


def test_lists_that_are_none_of_names():
    for value in (None, "ab", [1], [["a"]], ["a", "a"], ["a  b"], ("a",)):
        assert not are_class_names(value)
    assert are_class_names([]) and are_class_names(["a", "b, c"])
