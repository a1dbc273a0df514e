"""Probabilities of the time steps of files of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

# An average rises over its length where an event begins. But the first and last
# time steps of a sound are less certain than the others: events are found best
# (in validation) if the rise counts as this part of the length.
RISE = 0.5
OVERLAP = 0.1  # of consecutive pieces, as a share of the maximum clip length


def frame_classifier(tagger):
    """The classifier, or a ValueError if it is one of whole clips only."""
    if not tagger.has_frames:
        raise ValueError(
            "This model classifies only whole clips: train one that "
            "classifies time steps, such as hparams/ast_fftp_frames.yaml."
        )
    return tagger.mods.classifier


def analyze_frames(tagger, source, progress=False):
    """Classifies the time steps and the pieces of a file in one go.

    Returns times ``[T]`` in seconds, probabilities ``[T, C]``, those of the
    file ``[C]``, which are the maximum over overlapping pieces, and the
    duration.
    """
    classifier = frame_classifier(tagger)  # an error before the file is read

    def classify(tokens):
        """Probabilities of clips ``[B, C]`` and of steps ``[B, N, C]``."""
        clips = tagger.tagger.classifier(tokens).squeeze(1)
        return clips.sigmoid(), classifier.frame_logits(tokens).sigmoid()

    patches = tagger.mods.embedding_model.embedding
    step = patches.stride_frames * tagger.frame_samples
    grids, pieces, best = [_overlapping_pieces(tagger, step)], [], []
    for spans, _, wavs in tagger._windows(source, grids, progress):
        skip = -spans[:, 0] % step  # the last piece begins between steps
        for count in skip.unique().tolist():
            own = skip == count
            clips, probs = tagger._classify(classify, wavs[own, count:], None)
            first = (spans[own, 0] + count) // step
            pieces += zip(first.tolist(), probs.float().cpu())
            best.append(clips.amax(0).cpu())
    probs, end = _join_pieces(pieces), spans[-1, 1].item()
    times = tagger.tagger.step_times(end)[: len(probs)]
    duration = end / tagger.hparams.sample_rate
    return times, probs, torch.stack(best).amax(0), duration


def step_targets(times, events, n_classes):
    """Targets ``[N, C]`` of time steps: 1.0 within an event of a class.

    Events are start and end in seconds and the number of the class.
    """
    steps = torch.zeros(len(times), n_classes)
    for start, end, number in events:
        inside = (times >= start) & (times < end)
        # Of a short event, the time step that is the nearest
        nearest = (times - (start + end) / 2).abs().argmin()
        inside[nearest] |= ~inside.any()
        steps[inside, number] = 1.0
    return steps


def moving_average(times, probs, seconds):
    """A moving average of time steps ``[T, C]``, of an odd number of them.

    Returns it and the ``window`` of its ``Timeline``, 0.0 for a single step.
    """
    if not seconds or len(times) < 2:
        return probs, 0.0
    step = (times[1] - times[0]).item()
    half = round(seconds / step) // 2
    if not half:
        return probs, 0.0
    mean = torch.nn.functional.avg_pool1d(
        probs.T, 2 * half + 1, 1, half, count_include_pad=False
    )
    return mean.T.contiguous(), RISE * (2 * half + 1) * step


def _overlapping_pieces(tagger, step):
    """Size and hop in seconds of pieces of a file that are whole steps apart.

    They overlap by at least a patch and a step, so that no time step is missed;
    ``step`` and those of the tagger are in samples.
    """
    size, rate = tagger.max_samples, tagger.hparams.sample_rate
    overlap = max(OVERLAP * size, tagger.min_samples + step)
    hop = max(int(size - overlap) // step, 1) * step
    return size / rate, hop / rate


def _join_pieces(pieces):
    """Joins overlapping pieces of a file, each of which fades into the next.

    Each of the ``pieces``, in order, is the number of its first time step and
    probabilities ``[N, C]``. Returns probabilities ``[T, C]``.
    """
    size = max(first + len(probs) for first, probs in pieces)
    total = torch.zeros(size, pieces[0][1].shape[1])
    weights = torch.zeros(size, 1)
    for first, probs in pieces:
        step = torch.arange(len(probs)) + 1.0
        weight = torch.minimum(step, step.flip(0)).unsqueeze(1)
        total[first : first + len(probs)] += weight * probs
        weights[first : first + len(probs)] += weight
    return total / weights
