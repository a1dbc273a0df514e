"""Tests of the table that ``make demo`` ends with.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import show_demo

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
