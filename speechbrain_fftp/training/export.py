"""Exports a trained model: ``model.onnx``, and files for SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import moved_together
from speechbrain_fftp.onnx.export import ExportError, export_onnx
from speechbrain_fftp.onnx.int8 import store_in_int8
from speechbrain_fftp.utils.inference_folder import write_inference_folder

logger = get_logger(__name__)


def export_tagger(
    brain,
    datasets,
    *,
    folder,
    max_frames,
    int8=False,
    note=None,
    calibrate=None,
):
    """Exports a multi-label model; for ``after`` in a yaml file.

    Exports the weights that were evaluated, to the file ``model.onnx``, in int8
    with ``int8``, and for SpeechBrain, see ``write_inference_folder``. Clips
    longer than ``max_frames``, or than all training clips, are tagged in
    pieces. ``note`` is a sentence that users of the model should read first.
    ``calibrate``, if given, is called with the path of the file, to learn its
    thresholds.
    """
    _export(
        brain,
        datasets,
        folder,
        max_frames=max_frames,
        int8=int8,
        note=note,
        calibrate=calibrate,
    )


def export_classifier(brain, datasets, *, folder, max_frames, int8=False):
    """Exports a single-label model; see ``export_tagger``."""
    _export(
        brain,
        datasets,
        folder,
        single_label=True,
        max_frames=max_frames,
        int8=int8,
    )


def _export(brain, datasets, folder, single_label=False, **options):
    """Writes both forms of a model."""
    thresholds = {}  # on the main process, which writes the folder
    run_on_main(
        lambda: thresholds.update(
            write_model(
                brain.hparams,
                datasets["train"],
                folder,
                single_label=single_label,
                **options,
            )
        )
    )
    try:
        write_inference_folder(
            brain,
            datasets,
            folder=folder,
            single_label=single_label,
            thresholds=thresholds,
        )
    except ValueError as error:
        raise InputError(
            f"{error}. The checkpoints are kept: repeat the command then."
        ) from error


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
    """Writes ``FOLDER/model.onnx``, or logs a warning if that is impossible.

    Returns the learnt thresholds of tags, by label.
    """
    durations = [float(row["duration"]) for row in dataset.data.values()]
    labels, thresholds = list(hparams.label_encoder.lab2ind), {}
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
            return thresholds
        if int8:
            try:
                store_in_int8(path, path)
            except InputError as error:
                logger.warning("%s stays in float32: %s", target, error)
        if calibrate is not None:
            try:
                learnt = calibrate(path)
                if learnt.is_written:
                    thresholds = dict(
                        zip(labels, learnt.rules.threshold.tolist())
                    )
            except InputError as error:
                logger.warning("%s has no learnt thresholds: %s", target, error)
    logger.info("Wrote %s", target)
    return thresholds
