"""Small models that many tests share.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from fftp_tag.data.strong_labels import make_frame_targets
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import (
    FrameClassifier,
    FrameTagger,
    frame_level_times,
)
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.onnx.export import export_onnx

# The model of the fixture ``exported``
RATE = 16000
CLIP = 400 + 127 * 160  # samples of the model's 128 frames


def make_modules(encoder, classifier=None, labels="ABC"):
    """The modules of a model; by default, the classifier is a linear layer.

    Without labels, or after a ``FrameTagger``, it is the identity.
    """
    is_tagger = isinstance(encoder, FrameTagger)
    if classifier is None:
        classifier = torch.nn.Identity()
        if labels and not is_tagger:
            classifier = torch.nn.Linear(encoder.embed_dim, len(labels))
    n_mels = encoder.encoder.n_mels if is_tagger else encoder.n_mels
    return {
        "compute_features": KaldiFbank(n_mels=n_mels),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": classifier,
    }


def make_model(path, encoder, classifier=None, labels="ABC", max_frames=1024):
    """Exports a model, see ``make_modules``; returns the path of its file."""
    return export_onnx(
        path,
        make_modules(encoder, classifier, labels),
        list(labels),
        sample_rate=RATE,
        max_frames=getattr(encoder, "max_frames", max_frames),
    )


# Labels and their pitches; a page must not take one of them for HTML.
PITCHES = {"Beep": 900.0, "Hum": 200.0, "<b>Whistle</b>": 3000.0}


def tones(seconds, sounds, seed=0):
    """Noise with tones; ``sounds`` are rows of label, start and end."""
    rng = np.random.default_rng(seed)
    wav = 0.01 * rng.standard_normal(round(seconds * RATE))
    for label, start, end in sounds:
        time = np.arange(round(start * RATE), round(end * RATE))
        wav[time] += 0.2 * np.sin(2 * np.pi * PITCHES[label] * time / RATE)
    return wav.astype(np.float32)


def random_sounds(rng, seconds):
    """A sound of each class in a clip, as rows of label, start and end."""
    starts = rng.uniform(0, seconds - 1.2, len(PITCHES))
    ends = starts + rng.uniform(0.3, 1.2, len(PITCHES))
    return list(zip(PITCHES, starts, ends))


def train_on_tones(path, seconds=3):
    """A tiny frame-level model, trained on the times of sounds.

    Its modules are written to ``modules.pt`` in the same folder.
    """
    torch.manual_seed(0)
    frames = 100 * seconds
    encoder = ConvNeXt1d(
        n_mels=40,
        embed_dim=32,
        depth=1,
        embedding=FFTPEmbedding(40, 32, 10, 5),
        kernel=5,
    )
    tagger = FrameTagger(encoder, FrameClassifier(32, len(PITCHES)))
    front_end, normalization = KaldiFbank(n_mels=40), DatasetNormalization()
    rng = np.random.default_rng(0)
    clips = [random_sounds(rng, seconds) for _ in range(32)]
    wavs = np.stack(
        [tones(seconds, clip, seed) for seed, clip in enumerate(clips)]
    )
    feats = normalization(front_end(torch.from_numpy(wavs)))
    times = frame_level_times(
        front_end, encoder.embedding, wavs.shape[1]
    ).numpy()
    numbers = {label: number for number, label in enumerate(PITCHES)}
    targets = [
        make_frame_targets(times, [(a, b, numbers[x]) for x, a, b in clip], 3)
        for clip in clips
    ]
    targets = torch.from_numpy(np.stack(targets))
    optimizer = torch.optim.AdamW(tagger.parameters(), lr=0.02)
    for _ in range(60):
        logits = tagger(feats, return_frames=True).frame_logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    modules = make_modules(tagger.eval())
    torch.save(modules, path.with_name("modules.pt"))
    return export_onnx(
        path, modules, list(PITCHES), sample_rate=RATE, max_frames=frames
    )
