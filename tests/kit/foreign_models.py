"""Small models of others with random weights, exported as they export theirs.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import warnings

import torch

LABELS = ["Siren", "Bark, dog", "Rain", "Speech", "Bell"]
DIM = 16


class Pooled(torch.nn.Module):
    """What follows the tokens ``[B, N, D]``: a block, and a classifier."""

    def __init__(self):
        super().__init__()
        self.qkv = torch.nn.Linear(DIM, 3 * DIM)
        self.norm = torch.nn.LayerNorm(DIM)
        self.head = torch.nn.Sequential(
            torch.nn.LayerNorm(DIM), torch.nn.Linear(DIM, len(LABELS))
        )
        torch.nn.init.normal_(self.head[1].weight)

    def encode(self, x):
        query, key, value = self.qkv(x).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / DIM**0.5
        return self.norm(x + scores.softmax(-1) @ value)


class CED(Pooled):
    """As the authors' CED, ``[B, 64, T] -> [B, C]``, probabilities."""

    def __init__(self):
        super().__init__()
        self.bins = torch.nn.BatchNorm2d(64)
        self.bins.running_mean.uniform_(-50, -30)
        self.bins.running_var.fill_(200.0)
        self.patches = torch.nn.Conv2d(1, DIM, 16, 16)
        self.time = torch.nn.Parameter(torch.randn(1, DIM, 1, 62))
        self.frequency = torch.nn.Parameter(torch.randn(1, DIM, 4, 1))

    def forward(self, x):
        x = self.bins(x[:, None].transpose(1, 2)).transpose(1, 2)
        x = self.patches(x)
        x = x + self.time[..., : x.shape[3]] + self.frequency
        x = self.encode(x.flatten(2).transpose(1, 2))
        return self.head(x.mean(1)).sigmoid()


class Spectrograms(Pooled):
    """In the place of an AST, ``[B, 1024, 128] -> [B, C]``; of 2 x 31 patches."""

    def forward(self, x):
        x = self.encode(x.unflatten(1, (64, 16)).mean(2)[..., :DIM])
        return self.head(x[:, 0])


class Waveforms(Pooled):
    """An encoder of waveforms, ``[B, S] -> [B, D], [B, C]``."""

    def __init__(self):
        super().__init__()
        self.frames = torch.nn.Conv1d(1, DIM, 512, 256)

    def forward(self, x):
        x = (10 * self.frames(x[:, None]).abs()).log1p().mean(2)
        return x, self.head(x)


def export(model, path, inputs, names, outputs, free):
    """Writes a model as its authors do; ``free`` axes by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            inputs,
            str(path),
            input_names=names,
            output_names=outputs,
            opset_version=14,
            dynamic_axes={**free, **{name: {0: "batch"} for name in outputs}},
            dynamo=False,
        )
    return path


def write_ast(folder, model):
    """Writes an AST of transformers as the web converters do."""
    return export(
        model,
        folder / "onnx" / "model.onnx",
        (torch.randn(1, 1024, 128),),
        ["input_values"],
        ["logits"],
        {"input_values": {0: "batch"}},
    )


def write_small_ast(folder):
    """Writes what has the form of such an AST, with a few patches."""
    write_ast(folder, Spectrograms())
    config = {
        "model_type": "audio-spectrogram-transformer",
        "id2label": dict(enumerate(LABELS)),
        "patch_size": 16,
        "frequency_stride": 112,
        "time_stride": 33,
        "hidden_size": DIM,
    }
    settings = {
        "num_mel_bins": 128,
        "sampling_rate": 16000,
        "max_length": 1024,
        "mean": -4.0,
        "std": 4.5,
    }
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(settings))


def write_sherpa(folder):
    """Writes a CED for sherpa-onnx."""
    export(
        CED(),
        folder / "model.onnx",
        (torch.randn(1, 64, 900),),
        ["feats"],
        ["prob"],
        {"feats": {0: "batch", 2: "time"}},
    )
    rows = [f'{number},/m/{number},"{x}"' for number, x in enumerate(LABELS)]
    lines = ["index,mid,display_name", *rows]
    (folder / "class_labels_indices.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_waveforms(folder, **changes):
    """Writes an encoder of waveforms of 0.5 s at 8 kHz, and its description."""
    model = Waveforms()
    export(
        model,
        folder / "birds.onnx",
        (torch.randn(1, 4000),),
        ["inputs"],
        ["embedding", "label"],
        {"inputs": {0: "batch"}},
    )
    given = {
        "sample_rate": 8000,
        "seconds": 0.5,
        "input": "inputs",
        "embedding": "embedding",
        "output": "label",
        "activation": "sigmoid",
        "labels": "labels.txt",
        **changes,
    }
    given = {name: value for name, value in given.items() if value is not None}
    (folder / "birds.json").write_text(json.dumps(given))
    (folder / "labels.txt").write_text("\n".join(LABELS))
    return model
