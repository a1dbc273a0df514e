"""Exports a trained model: ``model.onnx``, and files for SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import moved_together
from speechbrain_fftp.dataio.tagger_yaml import store_thresholds
from speechbrain_fftp.onnx.export import ExportError, export_onnx
from speechbrain_fftp.onnx.int8 import store_in_int8
from speechbrain_fftp.training.checkpoints import with_free_space
from speechbrain_fftp.utils.inference_folder import convert_run

logger = get_logger(__name__)

# In README.md, what EncoderClassifier lacks
TAGGER = """
Its embeddings of a frame-level model are scores of classes. A `Tagger` names
several classes, hears no padding, and has embeddings of all models:

```python
from speechbrain_fftp.inference.tagging import Tagger

model = Tagger.from_hparams(source="FOLDER")
for label, probability in model.tag_file("clip.wav"):
    print(label, probability)
```
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

    Exports the weights that were evaluated, to the file ``model.onnx``, in int8
    with ``int8``, and for SpeechBrain, see ``write_inference_folder``. Clips
    longer than ``max_frames``, or than all training clips, are tagged in
    pieces. A clip has one label with ``single_label``, or else any number.
    ``note`` is a sentence that users of the model should read first.
    ``calibrate``, if given, is called with the path of the file, to learn its
    thresholds in place.
    """
    if brain.test_only:
        return
    write_inference_folder(
        brain, datasets, folder=folder, single_label=single_label
    )
    run_on_main(
        write_model,
        args=[brain.hparams, datasets["train"], folder],
        kwargs={
            "max_frames": max_frames,
            "single_label": single_label,
            "int8": int8,
            "note": note,
            "calibrate": calibrate,
        },
    )


def write_inference_folder(brain, datasets, *, folder, single_label=None):
    """Writes a folder that ``EncoderClassifier`` loads; for ``after`` as well.

    With the average checkpoint that was evaluated. See ``convert_run``. Writes
    nothing if the model is only tested: the folder is the training's.
    """
    if brain.test_only:
        return
    hparams = brain.hparams
    options = {
        "max_key": hparams.average_by,
        "num": hparams.avg_checkpoints,
        "save_folder": hparams.save_folder,
        "single_label": single_label,
    }
    try:
        run_on_main(
            convert_run, args=[hparams.output_folder, folder], kwargs=options
        )
    except ValueError as error:
        raise InputError(
            f"{error}. The checkpoints are kept: repeat the command then."
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: torch.save
        raise InputError(
            f"{folder} could not be written "
            f"({with_free_space(error, hparams.output_folder)}). The checkpoints "
            "are kept: if the disk is full, free space and repeat the command."
        ) from error
    run_on_main(_describe_tagger, args=[folder])


def write_model(
    hparams,
    dataset,
    folder,
    max_frames,
    int8=False,
    single_label=False,
    note=None,
    calibrate=None,
):
    """Adds ``model.onnx`` to a folder, or logs a warning if it is impossible.

    The thresholds that are learnt are added to the yaml file there.
    """
    durations = [float(row["duration"]) for row in dataset.data.values()]
    labels = list(hparams.label_encoder.lab2ind)
    target = Path(folder, "model.onnx")
    target.unlink(missing_ok=True)  # of an earlier training
    with moved_together(folder) as unfinished:
        path = unfinished / target.name
        try:
            export_onnx(
                path,
                hparams.modules,
                labels,
                sample_rate=hparams.sample_rate,
                max_frames=max_frames,
                max_seconds=max(durations),
                single_label=single_label,
                note=note,
            )
        except ExportError as error:
            logger.warning(
                "There is no %s for tagging, only files for SpeechBrain's "
                "EncoderClassifier: %s",
                target,
                error,
            )
            return
        if int8:
            try:
                store_in_int8(path, path)
            except InputError as error:
                logger.warning("%s stays in float32: %s", target, error)
        if calibrate is not None:
            try:
                learnt = calibrate(path, output=path)
                if not learnt.is_written:
                    raise InputError(learnt.objection)
                store_thresholds(folder, labels, learnt.rules.threshold)
            except InputError as error:
                logger.warning("%s has no learnt thresholds: %s", target, error)
    logger.info("Wrote %s", target)


def _describe_tagger(folder):
    """Adds ``TAGGER`` to the README.md of a folder."""
    with open(Path(folder, "README.md"), "a", encoding="utf-8") as file:
        file.write(TAGGER)
