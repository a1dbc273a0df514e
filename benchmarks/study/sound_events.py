"""Scores the events of a model of the study, on clips with strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.event_scores import find_events, learn_events
from speechbrain_fftp.metrics.comparison import Scores
from speechbrain_fftp.metrics.events import event_counts, event_metrics


def score_events(model, prepared, data_folder, window=None, hop=None):
    """``Scores`` of counted events of the eval split, and ``event_metrics``.

    The thresholds, and the moving average of time steps, are learnt on the
    valid split.
    """
    tagger = AudioTagger.from_pretrained(model)
    windows = {"window": window, "hop": hop}
    path = data_folder / "strong_valid.tsv"
    seconds, rows = learn_events(tagger, prepared, path, **windows)
    limits = torch.tensor([threshold for _, threshold, *_ in rows])
    path = data_folder / "strong_eval.tsv"
    found, truth = find_events(tagger, prepared, path, **windows)
    metrics = event_metrics(found, truth, limits)
    (hits, true, own), *_ = event_counts(found, truth, tagger.labels, limits)
    ids = np.array(list(found))
    scores = Scores(ids, ids, true, np.concatenate([hits, own], 1))
    return scores, {**metrics, "mean_seconds": seconds}
