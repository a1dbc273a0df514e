"""How far what a model says changes if it is stored in another way.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING, Iterable, List, Tuple, Union

import numpy as np

if TYPE_CHECKING:
    from fftp_tag.tagger import AudioTagger

GENERATED = 8  # clips


def generated_clips() -> List[Tuple[np.ndarray, int]]:
    """Samples and sampling rate of clips of the demo's sounds."""
    from speechbrain_fftp.datasets.demo import (
        CLASSES,
        SAMPLE_RATE,
        generate_clip,
    )

    clips = []
    for number in range(GENERATED):
        classes = [(2 * number + i) % len(CLASSES) for i in range(2)]
        _, samples, _ = generate_clip(0, "int8", number, classes)
        clips.append((samples.astype(np.float32), SAMPLE_RATE))
    return clips


def largest_change(
    before: "AudioTagger",
    after: "AudioTagger",
    clips: Iterable[Union[str, Tuple[np.ndarray, int]]],
) -> float:
    """The largest change of a probability of a clip.

    Clips are paths, or samples with their sampling rate. Of models without
    classes, it is the largest change of an embedding relative to its length.
    """
    changes = []
    for clip in clips:
        source = clip if isinstance(clip, tuple) else (clip,)
        if before.labels:
            first, second = (
                tagger.clip_probabilities(*source) for tagger in (before, after)
            )
            changes.append(np.abs(second - first).max())
        else:
            first, second = (
                tagger.embed_file(*source) for tagger in (before, after)
            )
            change = np.linalg.norm(second - first) / np.linalg.norm(first)
            changes.append(change)
    return float(max(changes))
