#!/usr/bin/env python3
"""Recipe for training an audio tagger on AudioSet (multi-label, 527 classes).

To run it on AudioSet:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml --data_folder DIR

DIR may also hold custom data: one folder per class, or clips.csv (see
README.md). n_classes is then set automatically.

Without --data_folder, it generates a small synthetic set and trains a tiny
model on it, in minutes on a laptop:
> python recipes/AudioSet/train.py hparams/ast_fftp.yaml

On several GPUs or machines (see README.md):
> torchrun --standalone --nproc_per_node 8 recipes/AudioSet/train.py ...

The same command resumes an interrupted training from its last checkpoint.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import sys
from pathlib import Path

import torch
from audioset_prepare import prepare_audioset
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.dataio.sampler import (
    DynamicBatchSampler,
    ReproducibleRandomSampler,
    ReproducibleWeightedRandomSampler,
)
from speechbrain.utils.distributed import get_rank, if_main_process, run_on_main
from speechbrain_fftp.datasets.audioset.lists import read_class_list
from speechbrain_fftp.datasets.audioset.streams import ShardStream, decode_clip
from speechbrain_fftp.datasets.batches import (
    class_balanced_weight,
    collate_clips,
    count_labels,
    load_clip,
    prior_log_odds,
)
from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.synthetic.demo_set import make_demo_set
from speechbrain_fftp.inference.thresholds import learn_thresholds
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.metrics.tagging import f1_scores, tagging_metrics
from speechbrain_fftp.training.brain import ClipBrain
from speechbrain_fftp.training.distillation import Distillation
from speechbrain_fftp.training.errors import report_errors
from speechbrain_fftp.training.reports import write_tagging_results
from speechbrain_fftp.training.run_folder import RunFolder
from speechbrain_fftp.training.setup import (
    check_options,
    encode_labels,
    num_processes,
    plain_yaml,
    read_overrides,
    resolve_run_options,
    start_from_pretrained,
)
from speechbrain_fftp.training.strong_labels import EventScores, StrongLabels


class TaggingBrain(ClipBrain):
    """Learns which classes are in a clip: any number of them."""

    criterion = "mAP"
    valid_loader = None  # loads the clips on which thresholds are learned

    def probabilities(self, logits):
        """Each class has a probability of its own."""
        return logits.sigmoid()

    def score(self, targets, probs):
        """Macro mAP, AUC and d', and F1 once thresholds are learned."""
        clips = targets.numpy(), probs.numpy()
        if self.debug and all(n in (0, len(targets)) for n in targets.sum(0)):
            # A few clips, of one class: nothing to score, but all else runs
            means = dict.fromkeys(("mAP", "AUC", "d_prime"), math.nan)
            sizes = {"num_classes_scored": 0, "num_clips": len(targets)}
            return {**means, **sizes, "per_class": {}}
        metrics = tagging_metrics(*clips)
        if self.thresholds:
            limits = [threshold for _, threshold, *_ in self.thresholds]
            metrics.update(f1_scores(*clips, limits))
        return metrics

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Learns thresholds on validation clips, with the averaged weights."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        predictions = self.predict(self.valid_loader)
        self.thresholds = learn_thresholds(self.labels, *predictions)

    def report(self, targets, probs, metrics, **more):
        """Writes metrics.json and per_class.csv."""
        folder = self.output_folder
        return write_tagging_results(metrics, self.labels, folder, **more)


def dataio_prep(hparams):
    """Creates the datasets and the label encoder.

    Arguments
    ---------
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    datasets : dict of Dataset
        ``train`` (a ``ShardStream`` for tar shards), ``valid`` and ``test``.
    label_encoder : CategoricalEncoder
        Maps class indices to display names.
    """
    classes = read_class_list(Path(hparams["prepared_folder"]) / "classes.csv")
    label_encoder = encode_labels(classes.values(), hparams["n_classes"])

    def multi_hot(labels):
        """Vector ``[C]``, 1 for each of the labels."""
        indices = label_encoder.encode_sequence_torch(labels)
        return torch.zeros(len(label_encoder)).index_fill(0, indices, 1.0)

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("sig")
    def audio_pipeline(wav):
        """Loads a prepared clip, ``[S]``."""
        return load_clip(wav)

    @sb.utils.data_pipeline.takes("labels")
    @sb.utils.data_pipeline.provides("targets")
    def label_pipeline(labels):
        """Multi-hot vector ``[C]`` of a clip's labels."""
        return multi_hot(labels.split(";"))

    def load_item(sample):
        """Decodes a clip of a tar shard."""
        clip = decode_clip(sample)
        targets = multi_hot(clip["labels"])
        return {"id": clip["id"], "sig": clip["sig"], "targets": targets}

    datasets, in_files = {}, ["valid", "test"]
    if hparams["format"] == "webdataset":
        datasets["train"] = ShardStream(
            hparams["train_index"],
            load_item,
            hparams["batch_size"],
            hparams["seed"],
            shuffle_buffer=hparams["shuffle_buffer"],
            balanced=hparams["class_balanced"],
            rank=get_rank() or 0,
            world_size=num_processes(),
            command=hparams["shard_command"],
        )
    else:
        in_files.append("train")
    for split in in_files:
        datasets[split] = sb.dataio.dataset.DynamicItemDataset.from_csv(
            csv_path=hparams[f"{split}_annotation"],
            replacements={"data_root": hparams["prepared_folder"]},
            dynamic_items=[audio_pipeline, label_pipeline],
            output_keys=["id", "sig", "targets"],
        )
    for split in ("valid", "test"):  # batches of clips of similar length
        datasets[split] = datasets[split].filtered_sorted(sort_key="duration")
    return datasets, label_encoder


def make_train_loader(brain, train_set, counts, hparams):
    """Creates the loader of the training clips, shuffled in each epoch.

    Arguments
    ---------
    brain : TaggingBrain
        The Brain, whose ``train_sampler`` or ``train_stream`` is set.
    train_set : DynamicItemDataset or ShardStream
        The clips.
    counts : dict
        Maps each label to its number of training clips.
    hparams : dict
        The loaded hyperparameters.

    Returns
    -------
    torch.utils.data.DataLoader
        In DDP, each process gets different clips.
    """
    opts = {"collate_fn": collate_clips, **hparams["train_dataloader_opts"]}
    if isinstance(train_set, ShardStream):
        brain.train_stream = train_set
        return torch.utils.data.DataLoader(train_set, **opts)
    seed = hparams["seed"]
    if hparams["dynamic_batching"]:
        del opts["batch_size"]
        opts["batch_sampler"] = brain.train_sampler = DynamicBatchSampler(
            train_set, seed=seed, **hparams["dynamic_batch_sampler"]
        )
        return brain.make_dataloader(train_set, sb.Stage.TRAIN, **opts)
    brain.train_sampler = ReproducibleRandomSampler(train_set, seed=seed)
    if hparams["class_balanced"]:
        rows = clip_labels(train_set)
        brain.train_sampler = ReproducibleWeightedRandomSampler(
            [class_balanced_weight(row, counts) for row in rows],
            num_samples=len(rows),
            replacement=True,
            seed=seed,
        )
    opts["sampler"] = brain.train_sampler
    return brain.make_dataloader(train_set, sb.Stage.TRAIN, **opts)


def clip_labels(dataset):
    """Lists the labels of each clip of a split, without reading audio."""
    return [row["labels"].split(";") for row in dataset.data.values()]


def data_overrides(data_folder):
    """Hyperparameters that depend on the data.

    Arguments
    ---------
    data_folder : str
        The folder given by the user.

    Returns
    -------
    dict
        The number of classes, if the folder holds custom data.
    """
    own = find_custom_data(data_folder)
    return {} if own is None else {"n_classes": len(own.classes)}


if __name__ == "__main__":
    report_errors()
    argv = check_options(sys.argv[1:])
    hparams_file, run_opts, overrides = sb.parse_arguments(argv)
    sb.utils.distributed.ddp_init_group(run_opts)
    overrides, is_demo = read_overrides(
        overrides, demo=plain_yaml(hparams_file)["demo"]
    )
    if not is_demo:
        overrides = {**data_overrides(overrides["data_folder"]), **overrides}
    run = RunFolder(hparams_file, overrides, run_opts)
    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, run.overrides)
    if hparams["dynamic_batching"] and (
        hparams["class_balanced"] or hparams["format"] == "webdataset"
    ):
        raise ValueError(
            "dynamic_batching works neither with class_balanced nor with "
            "format: webdataset. Use only one of them."
        )
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
        run_on_main(make_demo_set, kwargs={"folder": hparams["data_folder"]})
    run_on_main(
        prepare_audioset,
        kwargs={
            "data_folder": hparams["data_folder"],
            "save_folder": hparams["prepared_folder"],
            "valid_fraction": hparams["valid_fraction"],
            "sample_rate": hparams["sample_rate"],
            "skip_prep": hparams["skip_prep"],
            "unbalanced": hparams["unbalanced"],
            "format": hparams["format"],
            "test_fold": hparams["test_fold"],
            "cut_segments": hparams["cut_segments"],
            "allow_missing": hparams["allow_missing"],
        },
    )
    run.check_data()
    datasets, label_encoder = dataio_prep(hparams)
    for split in ("valid", "test"):
        rows = clip_labels(datasets[split])
        # A class is scored if some clips have it and others do not.
        if all(n == len(rows) for n in count_labels(rows).values()):
            raise ValueError(
                "No class has both positive and negative clips in "
                f"{hparams[split + '_annotation']}, so there is nothing to "
                "score: give that split more clips."
            )
    classes = read_class_list(Path(hparams["prepared_folder"]) / "classes.csv")
    events = EventScores({}, {}, classes)
    if "strong_eval" in hparams:
        events = EventScores(
            {"valid": hparams["strong_valid"], "eval": hparams["strong_eval"]},
            {"valid": datasets["valid"], "eval": datasets["test"]},
            classes,
        )
    if isinstance(datasets["train"], ShardStream):
        counts = datasets["train"].labels_counts
        num_clips = datasets["train"].num_clips
    else:
        counts = count_labels(clip_labels(datasets["train"]))
        num_clips = len(datasets["train"])
    start_from_pretrained(
        hparams["embedding_model"],
        hparams["pretrained"],
        hparams["frozen_epochs"],
        hparams["sample_rate"],
    )

    data_description = (
        "synthetic demo set" if is_demo else str(hparams["data_folder"])
    )
    brain = TaggingBrain(
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
            single_label=False,
            sample_rate=hparams["sample_rate"],
            weight=hparams["distill_weight"],
            temperature=hparams["distill_temperature"],
            device=brain.device,
        )
    classifier = hparams["classifier"]
    getattr(classifier, "layers", classifier)[-1].bias.data.copy_(
        prior_log_odds(counts, num_clips, brain.labels)
    )
    if hparams.get("strong_labels"):
        brain.strong_labels = StrongLabels(
            hparams["strong_labels"],
            brain.labels,
            classes,
            datasets["train"],
            Tagger(**hparams["modules"]),
            {key: hparams[key] for key in ("wav_augment", "fea_augment")},
        )
    train_loader = make_train_loader(brain, datasets["train"], counts, hparams)
    valid_loader, test_loader = (
        brain.evaluation_loader(
            datasets[split], stage, hparams["valid_dataloader_opts"]
        )
        for split, stage in (("valid", sb.Stage.VALID), ("test", sb.Stage.TEST))
    )
    brain.set_schedule(
        hparams["lr_schedule"], hparams["warmup_steps"], train_loader
    )
    brain.valid_loader = valid_loader
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
    brain.evaluate(test_loader, max_key=brain.criterion)
    brain.export()
    if if_main_process():
        events.report(run.folder, hparams["prepared_folder"], brain.device)
