"""Learns classes from a few clips: a linear classifier on a frozen encoder.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import logging
import math
import os
from pathlib import Path

import numpy as np

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.dataio.audio import MIN_SECONDS, read_audio, resample
from speechbrain_fftp.dataio.files import atomic_folder, write_json
from speechbrain_fftp.datasets import custom
from speechbrain_fftp.datasets.splits import drop_copies
from speechbrain_fftp.inference import heads, results
from speechbrain_fftp.inference.config import MODULES
from speechbrain_fftp.inference.cross_validation import (
    Examples,
    HeadLearner,
    cross_fitted_tags,
    cross_validate,
    find_confusions,
    score_clips,
)
from speechbrain_fftp.inference.false_alarms import (
    limit_false_alarms,
    list_recordings,
)
from speechbrain_fftp.inference.folder import write_folder
from speechbrain_fftp.inference.thresholds import (
    learn_thresholds,
    write_thresholds,
)
from speechbrain_fftp.inference.tokens import Recording, TokenEncoder
from speechbrain_fftp.inference.torch_engine import TorchEngine

logger = logging.getLogger(__name__)

REPORT = "report.json"
FEW_CLIPS = 5  # of a class: fewer get a warning


def learn(
    tagger,
    data_folder,
    output_folder,
    background=None,
    max_false_alarms=None,
    keep_classes=False,
    single_label=False,
    num_workers=4,
    progress=False,
):
    """Learns classes and writes a model of them, see ``AudioTagger.learn``."""
    engine = tagger.engine
    check_engine(engine, keep_classes, single_label)
    check_output(output_folder, data_folder)
    if single_label and background is not None:
        raise ValueError(
            "With single_label, each clip has exactly one class, and there is "
            "no background: leave out one of them."
        )
    encoder = TokenEncoder(engine, output_folder, num_workers, progress)
    data = open_data(data_folder, has_background=background is not None)
    labels = list(data.classes)
    if keep_classes:
        check_new(labels, engine.labels)
    learned, held_out = encode_clips(tagger, data, encoder)
    check_clips(data, learned, encoder.errors, single_label)
    if background is not None:
        places = list_recordings(background)
        learned = add_background(tagger, learned, places, encoder)

    learner = HeadLearner(engine.mods.classifier, single_label)
    found = cross_validate(learner, learned)
    classifier = learner.fit(learned, found.regularization)
    thresholds = new_thresholds(labels, learned, found.probs)
    report = {
        "clips": dict(zip(labels, learned.targets.sum(0).astype(int).tolist())),
        "clips_of_no_class": int((learned.targets.sum(1) == 0).sum()),
        "not_read": encoder.errors,
        "regularization": found.regularization,
        "made_with": results.versions(),
    }
    if found.probs is None:
        logger.warning(
            "%s: all clips are of one group or each class has one clip, so "
            "that nothing is known of the accuracy",
            data_folder,
        )
    else:
        tagged = cross_fitted_tags(labels, learned, found)
        report["folds"] = int(found.folds.max()) + 1
        report["scores"] = score_clips(learned, found.probs, tagged)
        report["confusions"] = find_confusions(
            labels, learned, found.probs, tagged
        )
    if held_out.names:
        probs = learner.probabilities(classifier, held_out)
        limits = np.array([limit for _, limit, *_ in thresholds], np.float32)
        report["scores_of_eval"] = score_clips(held_out, probs, probs >= limits)
    if keep_classes:
        classifier = heads.add_classes(learner.classifier, classifier)
        thresholds = old_thresholds(engine) + thresholds
    model = replace_classifier(
        engine,
        classifier,
        labels=[label for label, *_ in thresholds],
        single_label=single_label,
    )
    if background is not None:
        thresholds, report["false_alarms_per_hour"] = limit_false_alarms(
            listen_to_background(type(tagger)(model), places),
            thresholds,
            labels,
            max_false_alarms,
        )
    report["thresholds"] = {label: limit for label, limit, *_ in thresholds}
    with atomic_folder(output_folder) as unfinished:
        write_folder(unfinished, dict(model.mods), vars(model.hparams))
        write_thresholds(unfinished, thresholds)
        encoder.save(unfinished)
        write_json(os.path.join(unfinished, REPORT), report, strict=True)
    return report


def check_engine(engine, keep_classes, single_label):
    """Raises a ValueError if a model cannot learn, or cannot keep classes."""
    if not isinstance(engine, TorchEngine):
        raise ValueError(
            "An ONNX file cannot learn: use the model that it was exported "
            "from."
        )
    if keep_classes and (single_label or engine.single_label):
        raise ValueError(
            "Where each clip has one label, probabilities sum up to 1: the "
            "classes of the model cannot be kept as they are beside others."
        )
    if single_label and engine.has_frames:
        raise ValueError(
            "In a model that classifies time steps, each class is found on its "
            "own: leave out single_label."
        )


def check_output(folder, data_folder):
    """Raises a ValueError if a folder is of clips, or not of ``learn``."""
    if Path(folder).resolve().is_relative_to(Path(data_folder).resolve()):
        raise ValueError(
            f"{folder} is in the folder of the clips: give another output "
            "folder."
        )
    if os.path.isdir(folder) and os.listdir(folder):
        if not os.path.isfile(os.path.join(folder, REPORT)):
            raise ValueError(
                f"{folder} is not empty, and not a model that was learned "
                "from clips: give another output folder."
            )


def check_new(labels, known):
    """Raises a ValueError if classes that are kept are learned again."""
    both = sorted(set(labels) & set(known))
    if both:
        raise ValueError(
            f"The model knows {', '.join(both)} already: rename these classes, "
            "or do not keep those of the model."
        )


def open_data(data_folder, has_background):
    """Lists the clips, each once, see ``custom.list_clips``."""
    data = custom.list_clips(data_folder, 1 if has_background else 2)
    data.clips, _ = drop_copies(data.clips, data.folder)
    return data


def encode_clips(tagger, data, encoder):
    """The ``Examples`` to learn from, and those of the split ``eval``."""
    tokens = encoder.encode([clip_recording(tagger, c) for c in data.clips])
    labels = list(data.classes)
    examples = Examples(
        names=[os.path.relpath(c.audio, data.folder) for c in data.clips],
        groups=[clip.fold or clip.group for clip in data.clips],
        tokens=tokens,
        targets=np.array(
            [
                [float(label in clip.labels) for label in labels]
                for clip in data.clips
            ],
            np.float32,
        ),
    )
    usable = [n for n, found in enumerate(tokens) if found is not None]
    held_out = [n for n in usable if data.clips[n].split == "eval"]
    eval_groups = {c.group for c in data.clips if c.split == "eval"}
    learned = [n for n in usable if data.clips[n].group not in eval_groups]
    n_related = len(usable) - len(learned) - len(held_out)
    if n_related > 0:
        logger.warning(
            "%d clips are not learned from: they are in groups of clips of the "
            "split eval",
            n_related,
        )
    return examples.part(learned), examples.part(held_out)


def clip_recording(tagger, clip):
    """A clip as a ``Recording``: a file, or a part of one."""
    path = clip.audio
    if clip.end == math.inf:
        return Recording(path, "", functools.partial(tagger.pieces, path))

    def read():
        """Yields the windows of the part."""
        try:
            wav, rate = read_audio(path, clip.end - clip.start, clip.start)
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        if len(wav) < MIN_SECONDS * rate:
            raise ValueError(f"{path} ends before {clip.end:g} s")
        yield from tagger.pieces([resample(wav, rate, tagger.sample_rate)])

    part = f"from {clip.start:g} to {clip.end:g} s"
    return Recording(path, part, read)


def check_clips(data, examples, errors, single_label):
    """Raises a ValueError if clips do not suffice; warns if they are few."""
    if errors:
        logger.warning(
            "%d of %d clips cannot be read, such as %s: %s",
            len(errors),
            len(data.clips),
            *next(iter(errors.items())),
        )
    counts = dict(zip(data.classes, examples.targets.sum(0).astype(int)))
    if missing := [label for label, count in counts.items() if count == 0]:
        raise ValueError(
            f"{data.folder}: no clip can be learned of {', '.join(missing)}: "
            "add some, or remove the class."
        )
    few = [
        f"{label} ({count})"
        for label, count in counts.items()
        if count < FEW_CLIPS
    ]
    if few:
        logger.warning(
            "Fewer than %d clips of %s: more would help",
            FEW_CLIPS,
            ", ".join(few),
        )
    columns = {}
    for label, column in zip(data.classes, examples.targets.T):
        columns.setdefault(column.tobytes(), []).append(label)
    for same in columns.values():
        if len(same) > 1:
            logger.warning("%s have the same clips", " and ".join(same))
    if single_label and (examples.targets.sum(1) != 1).any():
        raise ValueError(
            f"{data.folder}: with single_label, each clip has exactly one "
            "class, and there is no background."
        )


def add_background(tagger, examples, places, encoder):
    """Adds the first half of each recording, in pieces, as clips of no class.

    A model of whole clips also learns from the windows that ``analyze`` and
    ``listen`` tag by default.
    """

    def read(path):
        """Yields the windows of the first half."""
        wav = tagger.load_wav(path)
        half = [wav[: len(wav) // 2]]
        yield from tagger.pieces(half)
        if not tagger.has_frames:
            window, _ = tagger.check_window()
            yield from tagger.windows(half, window, window)

    tokens = encoder.encode(
        [
            Recording(path, "first half", functools.partial(read, path))
            for path in places
        ]
    )
    unread = [path for path, windows in zip(places, tokens) if windows is None]
    if len(unread) == len(places):
        raise ValueError(
            f"No background can be read, such as {unread[0]}: give another."
        )
    if unread:
        logger.warning(
            "%d of %d recordings of background cannot be read, such as %s",
            len(unread),
            len(places),
            unread[0],
        )
    names = list(examples.names)
    groups = list(examples.groups)
    all_tokens = list(examples.tokens)
    for path, windows in zip(places, tokens):
        for window in windows or []:
            names.append(path)
            groups.append(path)
            all_tokens.append([window])
    negatives = np.zeros(
        (len(names) - len(examples.names), examples.targets.shape[1]),
        np.float32,
    )
    return Examples(
        names=names,
        groups=groups,
        tokens=all_tokens,
        targets=np.concatenate([examples.targets, negatives]),
    )


def listen_to_background(tagger, places):
    """The ``Timeline`` of the second half of each recording."""
    timelines = []
    for path in places:
        try:
            wav = tagger.load_wav(path)
        except ValueError:
            continue  # it is among those that cannot be read
        timelines.append(tagger.analyze([wav[len(wav) // 2 :]]))
    return timelines


def new_thresholds(labels, examples, probs):
    """The rows of thresholds.csv, 0.5 where nothing is known."""
    if probs is None:
        counts = examples.targets.sum(0).astype(int).tolist()
        return [(label, 0.5, n, 0.0) for label, n in zip(labels, counts)]
    return learn_thresholds(labels, examples.targets, probs)


def old_thresholds(engine):
    """The rows of the classes of a model, 0.5 if it has no thresholds."""
    thresholds = engine.thresholds
    if thresholds is None:
        thresholds = np.full(len(engine.labels), 0.5)
    return [
        (label, float(limit), 0, 0.0)
        for label, limit in zip(engine.labels, thresholds)
    ]


def replace_classifier(engine, classifier, labels, single_label):
    """An engine like another one, with other classes."""
    label_encoder = CategoricalEncoder()
    label_encoder.update_from_iterable(labels)
    modules = {name: engine.mods[name] for name in MODULES}
    modules["classifier"] = classifier.to(engine.device)
    hparams = {
        **vars(engine.hparams),
        "label_encoder": label_encoder,
        "single_label": single_label,
        "thresholds": None,
    }
    return TorchEngine(
        modules, hparams, run_opts={"device": str(engine.device)}
    )
