#!/usr/bin/env python3
"""Recipe for training a keyword spotter on Speech Commands v2.

To run it on Speech Commands, a folder or the archive:
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml --data_folder DIR

That tells all 35 words apart; with --task 12, ten commands, other words and
silence; with --task folders, words of your own, one folder each.

Without --data_folder it generates a small synthetic set and trains a tiny
model on that, in minutes on a laptop:
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml

An interrupted training goes on from its last checkpoint when it is started
again with the same command.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import sys
from pathlib import Path

import ruamel.yaml
import torch
from hyperpyyaml import load_hyperpyyaml
from speechcommands_prepare import prepare_speechcommands

import speechbrain as sb
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.batches import collate_clips, load_clip
from speechbrain_fftp.datasets.speech_commands.lists import (
    NOISE_FOLDER,
    list_words,
)
from speechbrain_fftp.datasets.synthetic.words import make_word_set
from speechbrain_fftp.training.brain import ClipBrain
from speechbrain_fftp.training.reports import add_confusion
from speechbrain_fftp.training.setup import (
    encode_labels,
    plain_yaml,
    start_from_pretrained,
)
from speechbrain_fftp.utils.metrics import accuracy_metrics, write_accuracy

logger = get_logger(__name__)


class CommandsBrain(ClipBrain):
    """Learns which one of the classes a clip is of."""

    criterion = "accuracy"

    def compute_forward(self, batch, stage):
        """From waveforms to the logits of each class.

        Returns
        -------
        logits : torch.Tensor
            ``[B, C]``.
        targets : torch.Tensor
            Labels ``[B, C]``, mixed as the waveforms are.
        """
        batch = batch.to(self.device)
        (wavs, lens), (targets, _) = batch.sig, batch.targets
        if stage == sb.Stage.TRAIN:
            augmenter = self.hparams.wav_augment
            wavs, lens, targets = self.augment(augmenter, wavs, lens, targets)
            wavs, lens, targets = self.hparams.mixup(wavs, lens, targets)
        feats, lens = self.features(wavs, lens)
        if stage == sb.Stage.TRAIN:
            augmenter = self.hparams.fea_augment
            feats, lens, targets = self.augment(augmenter, feats, lens, targets)
        return self.logits(feats, lens, stage), targets

    def compute_objectives(self, predictions, batch, stage):
        """Cross-entropy with soft labels, of which mixup makes more than one."""
        logits, targets = predictions
        if stage != sb.Stage.TRAIN:
            self.keep(batch, logits, targets)
        return self.hparams.compute_cost(logits, targets)

    def probabilities(self, logits):
        """They sum up to 1."""
        return logits.softmax(-1)

    def score(self, targets, probs):
        """Accuracy, confusion matrix, precision and recall."""
        return accuracy_metrics(targets.numpy(), probs.numpy())

    def report(self, metrics, **more):
        """Writes metrics.json, per_class.csv and the confusion matrix."""
        folder = self.hparams.output_folder
        picture = Path(folder) / "confusion.png"
        add_confusion(self.writer, metrics["confusion"], self.labels, picture)
        return write_accuracy(metrics, self.labels, folder, **more)


def dataio_prep(hparams):
    """Creates the datasets and the label encoder.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    datasets : dict of DynamicItemDataset
        ``train``, ``valid``, ``test``.
    label_encoder : CategoricalEncoder
        Maps class indices to words.
    """
    path = Path(hparams["prepared_folder"]) / "classes.csv"
    with open(path, encoding="utf-8", newline="") as file:
        classes = [row["label"] for row in csv.DictReader(file)]
    label_encoder = encode_labels(classes, hparams["n_classes"])

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav):
        """Loads a clip, ``[S]``, and cuts it to the length of one."""
        sig = load_clip(wav)
        if sig is None:
            return None
        return sig[: round(hparams["clip_seconds"] * hparams["sample_rate"])]

    @sb.utils.data_pipeline.takes("label")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(label):
        """One-hot vector ``[C]`` of a clip's word."""
        index = torch.tensor(label_encoder.encode_label(label))
        return torch.nn.functional.one_hot(index, len(classes)).float()

    datasets = {
        split: sb.dataio.dataset.DynamicItemDataset.from_csv(
            csv_path=hparams[f"{split}_annotation"],
            replacements={
                "data_root": hparams["prepared_folder"],
                "data_folder": hparams["data_folder"],
            },
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
        for split in ("train", "valid", "test")
    }
    return datasets, label_encoder


def count_classes(task, data_folder):
    """How many classes a task has.

    Arguments
    ---------
    task : str
        ``12``, ``35`` or ``folders``.
    data_folder : str
        The data.

    Returns
    -------
    int or None
        None if it is to be seen only when an archive is unpacked.
    """
    if task in ("12", "35"):
        return int(task)
    if not Path(data_folder).is_dir():
        return None
    words, _ = list_words(data_folder)
    return sum(
        bool(clips) for word, clips in words.items() if word != NOISE_FOLDER
    )


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    sb.utils.distributed.ddp_init_group(run_opts)
    overrides = ruamel.yaml.YAML().load(overrides) or {}
    given = plain_yaml(hparams_file)
    is_demo = "data_folder" not in overrides
    if is_demo:
        logger.warning(
            "No --data_folder given: training a tiny model on SYNTHETIC words, "
            "with the sizes under 'demo' in %s. Pass --data_folder DIR for "
            "Speech Commands.",
            hparams_file,
        )
        overrides = {**given["demo"], **overrides}
    task = str(overrides.get("task", given["task"]))
    n_classes = count_classes(task, overrides["data_folder"])
    if n_classes is not None:
        overrides.setdefault("n_classes", n_classes)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)
    if hparams["num_threads"]:
        torch.set_num_threads(hparams["num_threads"])
    if "ckpt_interval_steps" in run_opts.overridden_args:
        hparams["ckpt_interval_minutes"] = 0  # one excludes the other

    sb.core.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    if is_demo:
        run_on_main(make_word_set, kwargs={"folder": hparams["data_folder"]})
    hparams["data_description"] = (
        "synthetic demo set" if is_demo else str(hparams["data_folder"])
    )
    run_on_main(
        prepare_speechcommands,
        kwargs={
            "data_folder": hparams["data_folder"],
            "save_folder": hparams["prepared_folder"],
            "task": hparams["task"],
            "sample_rate": hparams["sample_rate"],
            "clip_seconds": hparams["clip_seconds"],
            "skip_prep": hparams["skip_prep"],
        },
    )
    datasets, label_encoder = dataio_prep(hparams)
    if not any(Path(hparams["noise_folder"]).glob("*.flac")):
        logger.warning(
            "There is no _background_noise_ in %s: white noise is added.",
            hparams["data_folder"],
        )
        hparams["add_noise"].noise_funct = torch.randn_like
    start_from_pretrained(
        hparams["embedding_model"],
        hparams["pretrained"],
        hparams["frozen_epochs"],
    )

    brain = CommandsBrain(
        [label_encoder.ind2lab[c] for c in range(len(label_encoder))],
        train_logger=hparams["train_logger"],
        tensorboard_logger=hparams["tensorboard_logger"],
        avg_checkpoints=hparams["avg_checkpoints"],
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.train_sampler = ReproducibleRandomSampler(
        datasets["train"], seed=hparams["seed"]
    )
    train_loader = brain.make_dataloader(
        datasets["train"],
        sb.Stage.TRAIN,
        collate_fn=collate_clips,
        sampler=brain.train_sampler,
        **hparams["train_dataloader_opts"],
    )
    brain.set_schedule(
        hparams["lr_schedule"],
        train_loader,
        hparams["number_of_epochs"],
        hparams["warmup_steps"],
    )
    valid_loader, test_loader = (
        brain.loader_to_score(
            datasets[split], stage, **hparams["valid_dataloader_opts"]
        )
        for split, stage in (("valid", sb.Stage.VALID), ("test", sb.Stage.TEST))
    )
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
    brain.evaluate(test_loader, max_key=brain.criterion)
    brain.export(label_encoder, single_label=True)
