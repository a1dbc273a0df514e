"""Exports a trained model for ``AudioTagger`` and ``fftp-tag``.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

import speechbrain as sb
from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.utils.tagging_metrics import TaggingMetrics


def export_tagger(brain, datasets, *, folder, max_frames):
    """Exports a multi-label model, with thresholds learnt on validation clips.

    The weights are those that were evaluated; longer clips than ``max_frames``
    are tagged in windows. For ``after`` in a yaml file.
    """
    from speechbrain_fftp.inference.thresholds import learn_thresholds

    labels = list(brain.hparams.label_encoder.lab2ind)
    _, probs, targets = predict(brain, datasets["valid"])
    thresholds = learn_thresholds(labels, targets, probs)
    export(brain, folder, max_frames, thresholds=thresholds)


def export_classifier(brain, datasets, *, folder, max_frames):
    """Exports a model that gives a clip one label; see ``export_tagger``."""
    export(brain, folder, max_frames, single_label=True)


def export(brain, folder, max_frames, **options):
    """Writes a model; for ``options`` see ``export_inference``."""
    from speechbrain_fftp.inference.folder import export_inference

    hparams = brain.hparams
    run_on_main(
        export_inference,
        kwargs={
            "folder": folder,
            "modules": hparams.modules,
            "label_encoder": hparams.label_encoder,
            "sample_rate": hparams.sample_rate,
            "max_frames": max_frames,
            **options,
        },
    )


def predict(brain, dataset):
    """Returns ids, probabilities and targets ``[clips, C]`` of a split."""
    options = {**brain.hparams.valid_dataloader_opts, "ckpt_prefix": None}
    loader = brain.make_dataloader(dataset, sb.Stage.VALID, **options)
    brain.modules.eval()
    predictions = TaggingMetrics()
    with torch.no_grad(), brain.evaluation_ctx:
        for batch in loader:
            logits, targets = brain.compute_forward(batch, sb.Stage.VALID)
            predictions.append(batch.id, logits.sigmoid(), targets)
    return predictions.gather()
