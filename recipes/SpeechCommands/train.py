#!/usr/bin/env python3
"""Recipe for training a keyword spotter on Speech Commands v2.

To run it on Speech Commands (a folder or the archive):
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml --data_folder DIR

The classes are all 35 words; with --task 12, ten commands, other words and
silence; with --task folders, custom words, one folder per word.

Without --data_folder, it generates a small synthetic set and trains a tiny
model on it, in minutes on a laptop:
> python recipes/SpeechCommands/train.py hparams/speechcommands/ast_fftp.yaml

The same command resumes an interrupted training from its last checkpoint.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import sys
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from speechcommands_prepare import prepare_speechcommands

import speechbrain as sb
from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.batches import collate_clips, load_clip
from speechbrain_fftp.datasets.speech_commands.lists import (
    NOISE_FOLDER,
    list_words,
)
from speechbrain_fftp.datasets.synthetic.words import make_word_set
from speechbrain_fftp.training.brain import ClipBrain
from speechbrain_fftp.training.distillation import Distillation
from speechbrain_fftp.training.errors import report_errors
from speechbrain_fftp.training.reports import write_accuracy_results
from speechbrain_fftp.training.run_folder import RunFolder
from speechbrain_fftp.training.setup import (
    check_options,
    encode_labels,
    plain_yaml,
    read_overrides,
    resolve_run_options,
    start_from_pretrained,
)

logger = get_logger(__name__)


class CommandsBrain(ClipBrain):
    """Learns which class a clip has: exactly one."""

    criterion = "accuracy"

    def probabilities(self, logits):
        """Probabilities sum to 1."""
        return logits.softmax(-1)

    def score(self, targets, probs):
        """Share of clips whose class is the most probable one."""
        hits = targets.argmax(-1) == probs.argmax(-1)
        return {"accuracy": hits.double().mean().item()}

    def report(self, targets, probs, metrics, **more):
        """Writes metrics.json, per_class.csv and the confusion matrix."""
        labels, folder = self.labels, self.output_folder
        return write_accuracy_results(
            targets, probs, labels, folder, self.history.writer, **more
        )


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
        """Loads a clip, ``[S]``, of at most ``clip_seconds``."""
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
                "test_set": hparams["test_set"] or "",
            },
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
        for split in ("train", "valid", "test")
    }
    return datasets, label_encoder


def count_classes(task, data_folder):
    """Counts the classes of a task.

    Arguments
    ---------
    task : str
        ``12``, ``35`` or ``folders``.
    data_folder : str
        Folder or archive of the data.

    Returns
    -------
    int or None
        None for custom words in an archive.
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
    report_errors()
    argv = check_options(sys.argv[1:])
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    sb.utils.distributed.ddp_init_group(run_opts)
    given = plain_yaml(hparams_file)
    overrides, is_demo = read_overrides(overrides, demo=given["demo"])
    task = str(overrides.get("task", given["task"]))
    n_classes = count_classes(task, overrides["data_folder"])
    if n_classes is not None:
        overrides.setdefault("n_classes", n_classes)
    run = RunFolder(hparams_file, overrides, run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, run.overrides)
    if hparams["num_threads"]:
        torch.set_num_threads(hparams["num_threads"])
    resolve_run_options(hparams, run_opts)

    sb.core.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=run.hparams_to_save,
        overrides=run.overrides,
        save_env_desc=False,
    )
    run.start_log()

    if is_demo:
        run_on_main(make_word_set, kwargs={"folder": hparams["data_folder"]})
    run_on_main(
        prepare_speechcommands,
        kwargs={
            "data_folder": hparams["data_folder"],
            "save_folder": hparams["prepared_folder"],
            "task": hparams["task"],
            "sample_rate": hparams["sample_rate"],
            "clip_seconds": hparams["clip_seconds"],
            "skip_prep": hparams["skip_prep"],
            "test_set": hparams["test_set"],
        },
    )
    run.check_data()
    datasets, label_encoder = dataio_prep(hparams)
    if not any(Path(hparams["noise_folder"]).glob("*.flac")):
        logger.warning(
            "There is no _background_noise_ in %s: adding white noise instead.",
            hparams["data_folder"],
        )
        hparams["add_noise"].noise_funct = torch.randn_like
    start_from_pretrained(
        hparams["embedding_model"],
        hparams["pretrained"],
        hparams["frozen_epochs"],
        hparams["sample_rate"],
    )

    data_description = (
        "synthetic demo set" if is_demo else str(hparams["data_folder"])
    )
    brain = CommandsBrain(
        label_encoder,
        hparams["modules"],
        wav_augment=hparams["wav_augment"],
        mixup=hparams["mixup"],
        fea_augment=hparams["fea_augment"],
        compute_cost=hparams["compute_cost"],
        epoch_counter=hparams["epoch_counter"],
        frozen_epochs=hparams["frozen_epochs"],
        avg_checkpoints=hparams["avg_checkpoints"],
        seed=hparams["seed"],
        train_logger=hparams["train_logger"],
        tensorboard_logger=hparams["tensorboard_logger"],
        run=run,
        data_description=data_description,
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    if hparams["teacher"]:
        brain.teacher = Distillation(
            hparams["teacher"],
            brain.labels,
            single_label=True,
            sample_rate=hparams["sample_rate"],
            weight=hparams["distill_weight"],
            temperature=hparams["distill_temperature"],
            device=brain.device,
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
    valid_loader, test_loader = (
        brain.evaluation_loader(
            datasets[split], stage, hparams["valid_dataloader_opts"]
        )
        for split, stage in (("valid", sb.Stage.VALID), ("test", sb.Stage.TEST))
    )
    brain.set_schedule(
        hparams["lr_schedule"], hparams["warmup_steps"], train_loader
    )
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
    brain.evaluate(test_loader, max_key=brain.criterion)
    brain.export(single_label=True)
