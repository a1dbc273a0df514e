"""Exports a published EfficientAT model with its front end to ONNX.

CHECKOUT is a clone of github.com/fschmid56/EfficientAT, whose code downloads the
weights of NAME, such as mn04_as or mn10_as. OUT.onnx maps waveforms at 32 kHz to
the probabilities of AudioSet's 527 classes and to embeddings; OUT.json beside it
describes it for fftp-tag.

The Fourier transform is a convolution: with ONNX Runtime's STFT, mn04_as takes 1.6
times as long.

> python tools/export_efficientat.py CHECKOUT NAME OUT.onnx

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import math
import os
import sys
from pathlib import Path

import torch
from torchaudio.compliance.kaldi import get_mel_banks

from fftp_tag.files import write_json

RATE = 32000
WINDOW, SHIFT, FFT, BINS = 800, 320, 1024, 128
PREEMPHASIS = 0.97
MAX_FREQUENCY_HZ = 15000.0
FLOOR = 1e-5
MEAN, SCALE = -4.5, 5.0  # of the log-mel features
MAX_SECONDS, MIN_SECONDS = 10, 0.5  # of a clip


class LogMel(torch.nn.Module):
    """The features ``[B, 1, 128, T]`` of EfficientAT's ``AugmentMelSTFT``."""

    def __init__(self):
        super().__init__()
        mel, _ = get_mel_banks(
            BINS, FFT, RATE, 0.0, MAX_FREQUENCY_HZ, 100.0, -500.0, 1.0
        )
        used = int(mel.any(0).nonzero().max()) + 1  # of the frequencies
        times = torch.arange(WINDOW, dtype=torch.float64)
        angles = 2 * math.pi / FFT * torch.arange(used)[:, None] * times
        window = torch.hann_window(WINDOW, periodic=False).double()
        waves = window * torch.cat([angles.cos(), angles.sin()])
        self.register_buffer("waves", waves.float().unsqueeze(1))
        self.register_buffer("mel", mel[:, :used])

    def forward(self, wavs):
        """Computes the features of waveforms ``[B, S]``."""
        wavs = wavs[:, 1:] - PREEMPHASIS * wavs[:, :-1]
        edge = WINDOW // 2
        wavs = torch.nn.functional.pad(
            wavs.unsqueeze(1), (edge, edge), mode="reflect"
        )
        parts = torch.nn.functional.conv1d(wavs, self.waves, stride=SHIFT)
        real, imaginary = parts.square().chunk(2, 1)
        mel = self.mel @ (real + imaginary)
        return (((mel + FLOOR).log() - MEAN) / SCALE).unsqueeze(1)


class WaveformModel(torch.nn.Module):
    """Waveforms ``[B, S]`` to probabilities ``[B, 527]`` and embeddings."""

    def __init__(self, model):
        super().__init__()
        self.log_mel, self.model = LogMel(), model

    def forward(self, wavs):
        """Computes both."""
        maps = self.model.features(self.log_mel(wavs))
        probabilities = self.model.classifier(maps).sigmoid()
        return probabilities, maps.mean((2, 3))


def export(model, path):
    """Writes a model of the checkout as an ONNX file."""
    torch.onnx.export(
        WaveformModel(model).eval(),
        (torch.zeros(2, RATE),),
        path,
        dynamo=True,
        external_data=False,
        input_names=["wavs"],
        output_names=["probabilities", "embeddings"],
        dynamic_shapes=[{0: "batch", 1: "samples"}],
    )


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("name")
    parser.add_argument("out", type=Path, metavar="OUT.onnx")
    args = parser.parse_args()
    out = args.out.resolve()
    os.chdir(args.checkout)  # where its modules find their files
    sys.path.insert(0, os.getcwd())
    from helpers.utils import NAME_TO_WIDTH
    from models.mn.model import get_model

    model = get_model(
        width_mult=NAME_TO_WIDTH(args.name), pretrained_name=args.name
    )
    export(model, str(out))
    with open("metadata/class_labels_indices.csv", encoding="utf-8") as file:
        labels = [row["display_name"] for row in csv.DictReader(file)]
    description = {
        "sample_rate": RATE,
        "seconds": MAX_SECONDS,
        "min_seconds": MIN_SECONDS,
        "input": "wavs",
        "embedding": "embeddings",
        "output": "probabilities",
        "activation": "none",
        "labels": labels,
    }
    write_json(out.with_suffix(".json"), description)


if __name__ == "__main__":
    main()
