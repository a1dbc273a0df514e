"""Tests of the names of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

import unicodedata

from hypothesis import (
    example,
    given,
    settings,
    strategies as st,
)

from fftp_tag.data.class_names import are_class_names, class_name
from fftp_tag.errors import InputError

PARTS = ["a", "Tu\u0308r", "\u00a0", "\n", " ", ";", "$", " => ", "x" * 99]
PARTS += ["\x1b", "\u200b", "b, c"]
TEXTS = st.lists(st.sampled_from(PARTS)).map("".join) | st.text()
CANNOT_BE = [";", "$", " => ", "  ", "\n"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(TEXTS)
@example("x" * 200)
@example("x" * 201)
def test_a_name_has_one_form_or_is_refused(text):
    words = unicodedata.normalize("NFC", text).split()
    expected = " ".join(words)
    can_be = (
        0 < len(expected) <= 200
        and expected.isprintable()
        and not any(part in expected for part in CANNOT_BE)
    )
    try:
        name = class_name(text, "clips.csv, line 3")
    except InputError as error:
        assert not can_be and "clips.csv, line 3: rename" in str(error)
    else:
        assert can_be and name == class_name(name) == expected
    assert are_class_names([text]) == (can_be and text == expected)
