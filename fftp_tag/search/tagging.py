"""Tags recordings from their index, without reading them.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, is_unchanged
from fftp_tag.model.edit import copy_model
from fftp_tag.model.runtime import first_line, runtime_errors, start_session
from fftp_tag.model.session import Model
from fftp_tag.model.spans import IS_HEARD, OUTPUT, remove_outputs
from fftp_tag.search.clips import UPDATE
from fftp_tag.search.index import SoundIndex
from fftp_tag.tag.events import Timeline
from fftp_tag.tag.tagger import AudioTagger

if TYPE_CHECKING:
    import onnx
    import onnxruntime

FRAMES = "frame_probabilities"


class IndexTagger:
    """Classifies the spans of an index by a model that ``learn`` has written.

    Its answers are those of ``AudioTagger.analyze`` but for what float16
    rounds, and for probabilities of a file, which are the highest of its
    timeline.

    Arguments
    ---------
    index : SoundIndex
        One for tagging, of this model or of another one with the same encoder and
        length of spans.
    tagger : AudioTagger

    Raises
    ------
    InputError
        If the index does not suit the model.
    """

    def __init__(self, index: SoundIndex, tagger: AudioTagger):
        if not index.settings.for_tagging:
            raise InputError(
                f"The index of {index.settings.archive} has too little for "
                "tagging: make one with fftp-tag index --for-tagging."
            )
        index.load_encoder(tagger)
        self.model, self.labels = tagger.model, tagger.labels
        self.sample_rate = tagger.sample_rate
        self.files = {index.path(name): x for name, x in index.files.items()}
        self.session = load_classifier(tagger.model)

    def analyze(self, source: PathLike, progress: bool = False) -> Timeline:
        """The probabilities over time of an indexed file.

        Raises
        ------
        InputError
            If the file is not in the index, or has changed since.
        """
        path = os.fspath(source)
        found = self.files.get(path)
        if found is None or not is_unchanged(path, found.identity):
            raise InputError(f"{path} is new, has changed or is gone: {UPDATE}")
        rows = found.rows.astype(np.float32)[None]
        is_heard = rows.any(2, keepdims=True)
        inputs = {OUTPUT: rows, IS_HEARD: is_heard}
        try:
            ((probs,),) = self.session.run([FRAMES], inputs)
        except runtime_errors() as error:
            raise InputError(
                f"the index has other features of {path} than the model "
                f"classifies, index again into another file: {first_line(error)}"
            ) from error
        probs = self.model.of_labels(probs)
        half = self.model.span_samples / (2 * self.sample_rate)
        return Timeline(
            times=found.times[:, 0] + half,
            probs=probs,
            clip_probs=probs.max(0),
            duration=found.seconds,
            labels=self.labels,
            rules=self.model.rules,
        )


def load_classifier(model: Model) -> "onnxruntime.InferenceSession":
    """Loads the part of a learnt model that classifies features of spans."""

    def change(graph: "onnx.GraphProto") -> None:
        """Makes the features the input, and leaves what depends on them."""
        from onnx import TensorProto, helper

        for node in graph.node:
            node.output[:] = [
                f"{x}.computed" if x in (OUTPUT, IS_HEARD) else x
                for x in node.output
            ]
        outputs = {output.name for output in graph.output}
        remove_outputs(graph, outputs - {FRAMES})
        del graph.input[:]
        for name, kind in (
            (OUTPUT, TensorProto.FLOAT),
            (IS_HEARD, TensorProto.BOOL),
        ):
            value = helper.make_tensor_value_info(name, kind, [1, None, None])
            graph.input.append(value)

    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "classifier.onnx")
        copy_model(model.path, path, model.info, change)
        return start_session(path, threads=1)
