"""Small models of others with random weights, exported as they export theirs.

Authors
 * The speechbrain_fftp authors 2026
"""

import warnings

import torch

from fftp_tag.files import write_json

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


class Zipformer(Pooled):
    """In the place of icefall's, ``[B, T, 80], [B] -> [B, C]``, probabilities."""

    def __init__(self):
        super().__init__()
        self.patches = torch.nn.Conv1d(80, DIM, 7, 4)

    def forward(self, x, lengths):
        x = self.encode(self.patches(x.transpose(1, 2)).transpose(1, 2))
        index = torch.arange(x.shape[1])[None]
        inside = index < ((lengths - 7) // 4 + 1)[:, None]
        logits = self.head(x) * inside[..., None]
        return (logits.sum(1) / inside.sum(1)[:, None]).sigmoid()


class Waveforms(Pooled):
    """An encoder of waveforms, ``[B, S] -> [B, D], [B, C]``."""

    def __init__(self):
        super().__init__()
        self.frames = torch.nn.Conv1d(1, DIM, 512, 256)
        self.bands = torch.nn.Parameter(torch.eye(DIM) + torch.rand(DIM, DIM))

    def forward(self, x):
        x = self.frames(x[:, None]).abs().transpose(1, 2) @ self.bands
        x = (10 * x).log1p().mean(1)
        return x, self.head(x)


class Tagger(Waveforms):
    """As Optimum exports CED: ``[B, S] -> [B, C]``, probabilities."""

    def forward(self, x):
        return super().forward(x)[1].sigmoid()


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


def write_optimum(folder, **settings):
    """Writes a tagger of waveforms of any length, as Optimum does."""
    model = Tagger()
    export(
        model,
        folder / "onnx" / "model.onnx",
        (torch.randn(1, 16000),),
        ["input_values"],
        ["logits"],
        {"input_values": {0: "batch", 1: "samples"}},
    )
    config = {"model_type": "ced", "id2label": dict(enumerate(LABELS))}
    settings = {"sampling_rate": 16000, **settings}
    write_json(folder / "config.json", config)
    write_json(folder / "preprocessor_config.json", settings)
    return model


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
    return write_class_list(folder)


def write_zipformer(folder):
    """Writes a Zipformer for sherpa-onnx."""
    export(
        Zipformer(),
        folder / "model.onnx",
        (torch.randn(1, 900, 80), torch.tensor([900])),
        ["x", "x_lens"],
        ["probs"],
        {"x": {0: "batch", 1: "time"}, "x_lens": {0: "batch"}},
    )
    return write_class_list(folder)


def write_class_list(folder):
    """Writes the table of classes that sherpa-onnx reads."""
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
    write_json(folder / "birds.json", given)
    (folder / "labels.txt").write_text("\n".join(LABELS))
    return model
