"""Published checkpoints of EfficientAT: its authors' ``mn*_as*.pt``.

https://github.com/fschmid56/EfficientAT, MobileNets with features of their own.
They are written as encoders of waveforms, see docs/published.md.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math
import tempfile
from collections import OrderedDict
from pathlib import Path

import torch
from torchaudio.compliance.kaldi import get_mel_banks

from fftp_tag.files import write_json
from fftp_tag.model.edit import copy_model
from fftp_tag.model.foreign.convert import write_foreign
from fftp_tag.model.foreign.forms import find_foreign
from fftp_tag.model.session import Model

RATE = 32000
WINDOW, SHIFT, FFT, BINS = 800, 320, 1024, 128
PREEMPHASIS = 0.97
MAX_FREQUENCY_HZ = 15000.0
FLOOR = 1e-5
MEAN, SCALE = -4.5, 5.0  # of the log-mel features
MAX_SECONDS, MIN_SECONDS = 10, 0.5  # of a clip
STRIDES = 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1  # of the blocks
FIRST_HARD_SWISH = 7  # number of the first block without ReLU; the first is 1
CREDIT = (
    "The encoder is of EfficientAT (Florian Schmid, Khaled Koutini, Gerhard "
    "Widmer; MIT licence)."
)
EPS = 0.001  # of batch normalisation


class LogMel(torch.nn.Module):
    """The features ``[B, 1, 128, T]`` of EfficientAT's ``AugmentMelSTFT``.

    The Fourier transform is a convolution: with ONNX Runtime's STFT, mn04_as
    takes 1.6 times as long.
    """

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


class SqueezeExcitation(torch.nn.Module):
    """Scales channels by what the means of all of them say."""

    def __init__(self, channels, squeezed):
        super().__init__()
        layers = {
            "fc1": torch.nn.Linear(channels, squeezed),
            "fc2": torch.nn.Linear(squeezed, channels),
        }
        # Of several dimensions in others of the authors' models
        self.conc_se_layers = torch.nn.ModuleList([torch.nn.ModuleDict(layers)])

    def forward(self, maps):
        """Scales maps ``[B, C, F, T]``."""
        [layers] = self.conc_se_layers
        hidden = layers["fc1"](maps.mean((2, 3))).relu()
        scales = layers["fc2"](hidden).sigmoid()
        return maps * scales[:, :, None, None]


class Block(torch.nn.Module):
    """An inverted residual block, of the layers in ``block``."""

    def __init__(self, block, is_residual):
        super().__init__()
        self.block, self.is_residual = block, is_residual

    def forward(self, maps):
        """Computes maps from maps ``[B, C, F, T]``."""
        found = self.block(maps)
        return found + maps if self.is_residual else found


class WaveformModel(torch.nn.Module):
    """Waveforms ``[B, S]`` to logits ``[B, C]`` and embeddings ``[B, D]``."""

    def __init__(self, features, classifier):
        super().__init__()
        self.log_mel = LogMel()
        self.features, self.classifier = features, classifier

    def forward(self, wavs):
        """Computes both."""
        embeddings = self.features(self.log_mel(wavs)).mean((2, 3))
        return self.classifier(embeddings), embeddings


def build(tensors, config):
    """Features and classifier of a file, whose sizes are its tensors'."""
    layers = [build_convolution(tensors, "features.0", 2, torch.nn.Hardswish)]
    for number, stride in enumerate(STRIDES, start=1):
        is_early = number < FIRST_HARD_SWISH
        activation = torch.nn.ReLU if is_early else torch.nn.Hardswish
        block = f"features.{number}.block"
        layers.append(build_block(tensors, block, stride, activation))
    last = f"features.{len(layers)}"
    layers.append(build_convolution(tensors, last, 1, torch.nn.Hardswish))
    hidden, last = (
        torch.nn.Linear(*tensors[f"classifier.{number}.weight"].shape[::-1])
        for number in (2, 5)
    )
    # By their indices in the authors' classifier, which begins with a mean
    classifier = {"2": hidden, "3": torch.nn.Hardswish(), "5": last}
    modules = {
        "features": torch.nn.Sequential(*layers),
        "classifier": torch.nn.Sequential(OrderedDict(classifier)),
    }
    torch.nn.ModuleDict(modules).load_state_dict(tensors, assign=True)
    return [module.float().eval() for module in modules.values()]


def build_block(tensors, name, stride, activation):
    """An inverted residual block, of what its tensors name."""
    layers = []
    while True:
        part = f"{name}.{len(layers)}"
        squeezing = tensors.get(f"{part}.conc_se_layers.0.fc1.weight")
        if squeezing is not None:
            layers.append(SqueezeExcitation(*squeezing.shape[::-1]))
        elif f"{part}.0.weight" in tensors:
            layers.append(build_convolution(tensors, part, stride, activation))
        else:
            break
    del layers[-1][2]  # channels are joined without an activation
    n_in, n_out = layers[0][0].in_channels, layers[-1][0].out_channels
    return Block(torch.nn.Sequential(*layers), stride == 1 and n_in == n_out)


def build_convolution(tensors, name, stride, activation):
    """A convolution, normalisation and activation.

    One of 1 x 1 has no stride; one of a channel each has as many groups.
    """
    n_out, per_group, kernel, _ = tensors[f"{name}.0.weight"].shape
    groups = n_out if name.count(".") > 1 and per_group == 1 else 1
    convolution = torch.nn.Conv2d(
        per_group * groups,
        n_out,
        kernel,
        stride=1 if kernel == 1 else stride,
        padding=kernel // 2,
        groups=groups,
        bias=False,
    )
    norm = torch.nn.BatchNorm2d(n_out, eps=EPS)
    return torch.nn.Sequential(convolution, norm, activation())


def write(features, classifier, labels, single_label, path):
    """Writes a model.onnx from features and a classifier; returns its path."""
    with tempfile.TemporaryDirectory() as scratch:
        encoder = Path(scratch, "encoder.onnx")
        torch.onnx.export(
            WaveformModel(features, classifier).eval(),
            (torch.zeros(2, RATE),),
            encoder,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=["wavs"],
            output_names=["logits", "embeddings"],
            dynamic_shapes=[{0: "batch", 1: "samples"}],
        )
        description = {
            "sample_rate": RATE,
            "seconds": MAX_SECONDS,
            "min_seconds": MIN_SECONDS,
            "input": "wavs",
            "embedding": "embeddings",
            "output": "logits",
            "activation": "softmax" if single_label else "sigmoid",
            "labels": labels,
        }
        write_json(encoder.with_suffix(".json"), description)
        write_foreign(find_foreign(encoder), path)
    info = dataclasses.replace(Model(path).info, credit=CREDIT)
    copy_model(path, path, info)
    return Path(path)
