"""Writes the inference folder once training ends.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch
from ruamel.yaml import YAML

import speechbrain as sb
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.inference.folder import export_inference
from speechbrain_fftp.inference.thresholds import learn_thresholds
from speechbrain_fftp.utils.tagging_metrics import TaggingMetrics

logger = get_logger(__name__)


def export_tagger(brain, datasets, *, hparams_file, folder):
    """Exports a multi-label model, with thresholds learnt on validation clips.

    The weights are those that were evaluated: the average of the best
    checkpoints.

    Arguments
    ---------
    brain : speechbrain.Brain
        A recipe's Brain, after its evaluation.
    datasets : dict
        Its data sets; ``valid`` is read.
    hparams_file : str
        The resolved yaml in the run folder.
    folder : str
        Where to write.
    """
    labels = list(brain.hparams.label_encoder.lab2ind)
    _, probs, targets = predict(brain, datasets["valid"])
    options = {"thresholds": learn_thresholds(labels, targets, probs)}
    run_on_main(write_model, args=[brain, hparams_file, folder, options])


def export_classifier(brain, datasets, *, hparams_file, folder):
    """Exports a model that gives a clip one label; see ``export_tagger``."""
    options = {"single_label": True}
    run_on_main(write_model, args=[brain, hparams_file, folder, options])


def write_model(brain, hparams_file, folder, options):
    """Writes the inference folder; for ``options`` see ``export_inference``."""
    label_encoder = brain.hparams.label_encoder
    make_plain(hparams_file, {"n_classes": len(label_encoder)})
    export_inference(
        hparams_file=hparams_file,
        modules=brain.hparams.modules,
        label_encoder=label_encoder,
        folder=folder,
        **options,
    )
    logger.info("Model: %s", folder)


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


def make_plain(hparams_file, values):
    """Writes values, by key, in place of functions in a yaml file.

    Others may load the inference folder where there are no data.
    """
    yaml = YAML()
    content = yaml.load(Path(hparams_file))
    for key, value in values.items():
        replace_node(content, content[key], value)
    yaml.dump(content, Path(hparams_file))


def replace_node(tree, node, value):
    """Replaces a node of a yaml file wherever it is referred to."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, child in list(items):
        if child is node:
            tree[key] = value
        elif isinstance(child, (dict, list)):
            replace_node(child, node, value)
