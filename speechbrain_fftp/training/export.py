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
    run_on_main(
        write_model,
        args=[brain.hparams, datasets["train"], folder, max_frames],
        kwargs={"int8": int8, "note": note, "calibrate": calibrate},
    )
    write_inference_folder(brain, datasets, folder=folder)


def export_classifier(brain, datasets, *, folder, max_frames, int8=False):
    """Exports a single-label model; see ``export_tagger``."""
    run_on_main(
        write_model,
        args=[brain.hparams, datasets["train"], folder, max_frames],
        kwargs={"int8": int8, "single_label": True},
    )
    write_inference_folder(brain, datasets, folder=folder, single_label=True)


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
    """Writes ``FOLDER/model.onnx``, or logs a warning if that is impossible."""
    durations = [float(row["duration"]) for row in dataset.data.values()]
    target = Path(folder, "model.onnx")
    target.unlink(missing_ok=True)  # of an earlier training
    with moved_together(folder) as unfinished:
        path = unfinished / target.name
        try:
            export_onnx(
                path,
                hparams.modules,
                list(hparams.label_encoder.lab2ind),
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
                calibrate(path)
            except InputError as error:
                logger.warning("%s has no learnt thresholds: %s", target, error)
    logger.info("Wrote %s", target)
