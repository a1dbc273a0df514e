"""Brains of the recipes, tiny, with a batch of random clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.batch import PaddedData
from speechbrain_fftp.lobes.frame_classifier import frame_level_times

ROOT = Path(__file__).resolve().parents[2]
HPARAMS = [
    path.relative_to(ROOT / "hparams").as_posix()
    for path in sorted((ROOT / "hparams").rglob("*.yaml"))
    # Those for recipes of SpeechBrain, and short ones
    if not {"stock", "paper"} & set(path.parts)
]
# Those whose clips have labels, and not a teacher's answers
OF_LABELS = [name for name in HPARAMS if name != "starter.yaml"]
CLASSES = 5


def load_script(name):
    """Loads a script, such as ``AudioSet/train.py``, as a module."""
    path = ROOT / "recipes" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_tiny(yaml, folder, **options):
    """Loads a yaml file of ``HPARAMS`` with a tiny model."""
    options = {
        "output_folder": str(folder),
        "n_classes": CLASSES,
        "embed_dim": 64,
        "depth": 1,
        **options,
    }
    path = ROOT / "hparams" / yaml
    text = path.read_text("utf-8")
    if "\ndata_folder:" in text:
        options["data_folder"] = str(folder)
    return load_hyperpyyaml(text, options)


def make_brain(yaml, folder, run_opts=None, **options):
    """A recipe's Brain, ready for its first step."""
    hparams = load_tiny(yaml, folder, **options)
    if "speechcommands" in yaml:
        Brain = load_script("SpeechCommands/train.py").CommandsBrain
    elif "strong_labels" in hparams:
        Brain = load_script("AudioSet/train_strong.py").StrongBrain
    else:
        Brain = load_script("AudioSet/train.py").TaggingBrain
    names = (
        "compile_using_dynamic_shape_tracing",
        "compile_mode",
    )
    opts = {"device": "cpu", **{n: hparams[n] for n in names if n in hparams}}
    brain = Brain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts={**opts, **(run_opts or {})},
    )
    brain.hparams.lr_annealing = hparams["lr_annealing"](
        warmup_steps=1, total_steps=10
    )
    brain.hparams.epoch_counter.current = 1
    brain.hparams.before = []  # there are no clips
    brain.on_fit_start()
    brain.modules.train()
    brain.step = 1
    return brain


def make_batch(brain, lengths, seconds=1.0):
    """Clips in 16 bits with all targets that any recipe reads."""
    B, S = len(lengths), round(seconds * brain.hparams.sample_rate)
    sig = torch.randint(-9000, 9000, (B, S)).to(torch.int16)
    targets = torch.nn.functional.one_hot(torch.arange(B) % CLASSES, CLASSES)
    batch = SimpleNamespace(
        id=[f"clip {number}" for number in range(B)],
        sig=PaddedData(sig, torch.tensor(lengths)),
        targets=PaddedData(targets.float(), torch.ones(B)),
    )
    if hasattr(brain.hparams, "frame_classifier"):
        steps = len(
            frame_level_times(
                brain.hparams.compute_features, brain.hparams.embedding, S
            )
        )
        batch.frame_targets = PaddedData(
            torch.rand(B, steps, CLASSES).round(), torch.ones(B)
        )
        batch.known = PaddedData(torch.ones(B, CLASSES), torch.ones(B))
    batch.to = lambda *args, **kwargs: batch
    return batch
