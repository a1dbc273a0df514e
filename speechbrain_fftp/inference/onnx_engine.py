"""OnnxEngine: a model that was exported to ONNX, without torch.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os

import numpy as np

from speechbrain_fftp.inference.engine import NO_CLASSES

EXPORT = "fftp-tag export --to onnx"


class OnnxEngine:
    """A model in a file that ``export_onnx`` has written.

    See ``engine.Engine`` for what it offers.

    Arguments
    ---------
    path : str
        The file.
    threads : int, optional
        Number of CPU threads; by default, ONNX Runtime's own.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If ONNX Runtime is not installed.
    ValueError
        If the file is damaged or was not written by ``export_onnx``, or
        ``threads`` is not positive.
    """

    def __init__(self, path, threads=None):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no file {path}.")
        if threads is not None and threads < 1:
            raise ValueError(f"threads={threads} must be positive.")
        self.session = start_session(path, threads)
        texts = self.session.get_modelmeta().custom_metadata_map
        try:
            metadata = {key: json.loads(text) for key, text in texts.items()}
            self.labels = metadata["labels"]
            self.sample_rate = metadata["sample_rate"]
            self.max_samples = metadata["max_samples"]
            self.min_samples = metadata["min_samples"]
            self.frame_samples = metadata["frame_samples"]
            self.single_label = metadata["single_label"]
            thresholds = metadata["thresholds"]
            steps = metadata["steps"]
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is no model of `{EXPORT}` (it lacks {error}): export "
                "the model again."
            ) from error
        self.thresholds = None
        if thresholds is not None:
            self.thresholds = np.array(thresholds, np.float32)
        self.has_frames = steps is not None
        if self.has_frames:
            self.first_seconds = steps["first_seconds"]
            self.step_samples = steps["step_samples"]
            self.mean_seconds = steps["mean_seconds"]

    def run(self, outputs, wavs, wav_lens=None):
        """Outputs of the model for waveforms ``[B, S]``, in NumPy."""
        wavs = np.atleast_2d(np.asarray(wavs, np.float32))
        if wav_lens is None:
            wav_lens = np.ones(len(wavs))
        inputs = {"wavs": wavs, "wav_lens": np.asarray(wav_lens, np.float32)}
        return self.session.run(outputs, inputs)

    def probabilities(self, wavs, wav_lens=None):
        """Probabilities of the clips, ``[B, C]``."""
        if not self.labels:
            raise ValueError(NO_CLASSES)
        [probs] = self.run(["probabilities"], wavs, wav_lens)
        return probs

    def frame_probabilities(self, wavs):
        """Those of the clips, ``[B, C]``, and of time steps, ``[B, N, C]``."""
        return self.run(["probabilities", "frame_probabilities"], wavs)

    def step_times(self, n_samples):
        """The centre of each time step of a clip in seconds, ``[N]``."""
        missing = max(self.min_samples - n_samples, 0)  # is padded
        last = (n_samples + missing - self.min_samples) // self.step_samples
        step = self.step_samples / self.sample_rate
        return self.first_seconds + step * np.arange(last + 1)

    def embeddings(self, wavs):
        """Embeddings of the clips, ``[B, D]``."""
        [embeddings] = self.run(["embeddings"], wavs)
        return embeddings

    def tag_batch(self, wavs, wav_lens=None):
        """The same as ``probabilities``; ``TorchEngine`` returns a tensor."""
        return self.probabilities(wavs, wav_lens)

    def encode_batch(self, wavs, wav_lens=None):
        """Embeddings of the clips, ``[B, 1, D]``."""
        [embeddings] = self.run(["embeddings"], wavs, wav_lens)
        return embeddings[:, None]


def start_session(path, threads=None):
    """Loads an ONNX file.

    Raises
    ------
    ImportError
        If ONNX Runtime is not installed.
    ValueError
        If it cannot be read.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ImportError(
            f"{path} needs ONNX Runtime: pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # More takes longer than it saves: 150 of 230 ms for an AST of 12 layers
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    )
    # Threads that wait for work would keep other processes from theirs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    errors = onnxruntime.capi.onnxruntime_pybind11_state
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
    # Of a damaged file, and of one without its PATH.data
    except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
