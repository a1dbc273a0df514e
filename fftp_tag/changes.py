"""Measures how much the outputs of two versions of a model differ.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import TYPE_CHECKING, Iterable, List, Tuple, Union

import numpy as np

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

GENERATED = 8  # clips


def generated_clips() -> List[Tuple[np.ndarray, int]]:
    """Generates clips of the demo's sounds: samples and sampling rate."""
    from speechbrain_fftp.datasets.demo import (
        CLASSES,
        SAMPLE_RATE,
        generate_clip,
    )

    clips = []
    for number in range(GENERATED):
        classes = [(2 * number + i) % len(CLASSES) for i in range(2)]
        samples, _ = generate_clip(0, "int8", number, classes)
        clips.append((samples.astype(np.float32), SAMPLE_RATE))
    return clips


def largest_change(
    before: "AudioTagger",
    after: "AudioTagger",
    clips: Iterable[Union[str, Tuple[np.ndarray, int]]],
) -> float:
    """The largest absolute change of a probability in any clip.

    Clips are paths, or samples with their sampling rate. For models without
    classes, embeddings are compared, relative to their largest value.
    """
    changes = []
    for clip in clips:
        source = clip if isinstance(clip, tuple) else (clip,)
        if before.labels:
            old, new = (x.clip_probabilities(*source) for x in (before, after))
            scale = 1.0
        else:
            old, new = (x.embed_file(*source) for x in (before, after))
            scale = np.abs(old).max()
        changes.append(np.abs(new - old).max() / scale)
    return float(max(changes))
