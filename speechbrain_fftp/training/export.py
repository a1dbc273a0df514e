"""Exports a trained model: ``model.onnx``, and files for SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from fftp_tag.errors import InputError
from fftp_tag.files import moved_together
from fftp_tag.model.int8 import store_in_int8
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.lobes.tagger import classify, extract_features
from speechbrain_fftp.onnx.export import ExportError, describe, export_onnx
from speechbrain_fftp.training.checkpoints import with_free_space
from speechbrain_fftp.utils.inference_folder import MODULES, write_folder

logger = get_logger(__name__)

# In README.md, what EncoderClassifier lacks
TAGGER = """
Its embeddings of a frame-level model are scores of classes. A `Tagger` names
several classes, hears no padding, cuts long recordings into pieces as `fftp-tag`
does, and has embeddings of all models:

```python
from speechbrain_fftp.inference.tagging import Tagger

model = Tagger.from_hparams(source="FOLDER")
for label, probability in model.tag_file("clip.wav"):
    print(label, probability)
```

`thresholds.json`, if it is there, has the minimum probability of each tag, which
is otherwise 0.5.
"""
# For a new process in another folder, as users load the model. Tagger comes
# first, since foreign_class leaves the folder on Python's path
CLASSIFY = """
import sys
import torch
from speechbrain.inference.interfaces import foreign_class
from speechbrain_fftp.inference.tagging import Tagger

wavs, found = torch.load("wavs"), {}
for load in (Tagger.from_hparams, foreign_class):
    model = load(source=sys.argv[1], run_opts={"device": "cpu"})
    found[type(model).__name__] = model.classify_batch(wavs)[0]
torch.save(found, "found")
"""


def export_model(
    brain,
    datasets,
    *,
    folder,
    max_frames,
    single_label=False,
    int8=False,
    note=None,
    calibrate=None,
):
    """Exports a model, unless it is only tested; for ``after`` in a yaml file.

    Writes the weights that were evaluated for SpeechBrain, see
    ``write_folder``, and to ``model.onnx``, in int8 with ``int8``. A new
    process checks the folder, which then replaces that of an earlier training.

    Clips longer than ``max_frames``, or than all training clips, are tagged in
    pieces. A clip has one label with ``single_label``, or else any number.
    ``int8`` may be "weights", see ``store_in_int8``.
    ``note`` is a sentence that users of the model should read first.
    ``calibrate``, if given, is called with the path of the file, to learn its
    thresholds in place.
    """
    if brain.test_only:
        return
    durations = [float(x["duration"]) for x in datasets["train"].data.values()]
    options = {
        "sample_rate": brain.hparams.sample_rate,
        "max_frames": max_frames,
        "max_seconds": max(durations),
        "single_label": single_label,
        "note": note,
    }
    run_on_main(
        replace_folder, args=[brain, Path(folder), options, int8, calibrate]
    )


def replace_folder(brain, folder, options, int8, calibrate):
    """Writes and checks all files of a model; ``options`` of ``export_onnx``."""
    hparams = brain.hparams
    labels = list(hparams.label_encoder.lab2ind)
    modules = {
        name: copy.deepcopy(hparams.modules[name]).float().cpu().eval()
        for name in MODULES
    }
    with moved_together(folder) as unfinished:
        try:
            write_for_speechbrain(brain, unfinished, modules, labels, options)
        except (OSError, RuntimeError) as error:  # RuntimeError: torch.save
            raise InputError(
                f"{folder} could not be written "
                f"({with_free_space(error, hparams.output_folder)}). The "
                "checkpoints are kept: if the disk is full, free space and "
                "repeat the command."
            ) from error
        write_model(unfinished, modules, labels, options, int8, calibrate)
        check_folder(unfinished, modules, options)
        # Those of an earlier training: this one may have none
        for name in ("model.onnx", "thresholds.json"):
            Path(folder, name).unlink(missing_ok=True)
    logger.info("Wrote the model to %s", folder)


def write_for_speechbrain(brain, folder, modules, labels, options):
    """Writes the files for SpeechBrain."""
    hparams, settings = brain.hparams, {}
    with contextlib.suppress(ExportError):  # which write_model logs
        settings["pieces"] = pieces_of(describe(modules, labels, **options))
    training = Path(hparams.output_folder, "hyperparams.yaml")
    write_folder(
        folder,
        training.read_text("utf-8"),
        brain.checkpointer.recoverables,
        hparams.label_encoder,
        options["single_label"],
        settings,
    )
    with open(Path(folder, "README.md"), "a", encoding="utf-8") as file:
        file.write(TAGGER)


def pieces_of(info):
    """How ``Tagger`` cuts recordings into the pieces of a ``ModelInfo``."""
    step = 1
    if info.frame_level is not None:
        step = info.frame_level.hop_samples
    return {**info.pieces._asdict(), "step": step}


def write_model(folder, modules, labels, options, int8, calibrate):
    """Adds ``model.onnx``, or logs a warning if it is impossible.

    ``calibrate`` adds ``thresholds.json``.
    """
    path = Path(folder, "model.onnx")
    try:
        export_onnx(path, modules, labels, **options)
    except ExportError as error:
        logger.warning(
            "There is no %s for tagging, only files for SpeechBrain's "
            "EncoderClassifier: %s",
            path.name,
            error,
        )
        return
    if int8:
        try:
            store_in_int8(path, path, weights_only=int8 == "weights")
        except InputError as error:
            logger.warning("%s stays in float32: %s", path.name, error)
    if calibrate is not None:
        try:
            calibrate(path, output=path)
        except InputError as error:
            logger.warning("%s has no learnt thresholds: %s", path.name, error)


@torch.no_grad()
def check_folder(folder, modules, options, tolerance=1e-3):
    """Raises an InputError unless a new process finds what the modules find.

    Log-probabilities may differ by a tolerance.
    """
    wavs = 0.1 * torch.randn(1, options["sample_rate"])
    feats, lens = extract_features(modules, wavs)
    outputs = modules["embedding_model"](feats, lens)
    expected = classify(modules["classifier"], outputs)
    if options["single_label"]:
        expected = expected.log_softmax(1)
    else:
        expected = torch.nn.functional.logsigmoid(expected)
    with tempfile.TemporaryDirectory() as elsewhere:
        torch.save(wavs, Path(elsewhere, "wavs"))
        done = subprocess.run(
            [sys.executable, "-B", "-c", CLASSIFY, folder.resolve()],
            cwd=elsewhere,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().rpartition("\n")[2]
            raise InputError(
                f"The model cannot be loaded in a new process ({reason}): what "
                "its yaml file names must be installed, or in a Python file "
                "beside the yaml file of the training. The checkpoints are "
                "kept: repeat the command then."
            )
        found = torch.load(Path(elsewhere, "found"))
    for name, log_probs in found.items():
        if not torch.allclose(log_probs, expected, rtol=0, atol=tolerance):
            raise InputError(
                f"{name} finds something else in a new process: only what is "
                "in the recoverables of the checkpointer has its weights there."
            )
