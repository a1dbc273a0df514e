"""Compares the events that the demo's model finds with the true events.

Joins the first evaluation clips to a recording with ten events, prints a table of
these, plots it, scores all evaluation clips, and suggests next commands. ``make
demo`` runs it last.

> python tools/show_demo.py results/demo

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

from fftp_tag import AudioTagger, Event, evaluate
from fftp_tag.data.labelled import list_split
from fftp_tag.score.events import match, overlap_by_half, pair_events
from fftp_tag.tag.plots import plot_tags

N_EVENTS = 10  # of the recording, or more if one clip has several
NEXT = """\
Try next:
  {command} {wav} --model {folder} --timeline
  {command} evaluate --model {folder} --data-folder {folder}/prepared
  {command} page {folder} {folder}/page --example {wav}

docs/tutorial.md teaches it your own sounds."""


def main(folder):
    """Shows the results of ``hparams/demo.yaml``, given its output folder."""
    prepared = Path(folder, "prepared")
    strong_labels = prepared / "events.tsv"
    tagger = AudioTagger.from_pretrained(folder)
    split = list_split(prepared, "eval", strong_labels=strong_labels)
    clips = first_clips(split.clips, split.truth)
    wav, true = join_clips(clips, split.truth)
    path = Path(folder, "clip.wav")
    sf.write(path, wav, tagger.sample_rate)

    timeline = tagger.analyze(path)
    paired = pair_events({"clip": timeline}, {"clip": true}, tagger.labels)
    rows = list_rows(paired)
    print(f"\n{path}, {len(clips)} clips that the model was not trained on:\n")
    print(f"  {'sound':30}{'true, in seconds':20}found")
    for label, is_true, is_found in rows:
        times = show_times(is_true, "not there")
        print(f"  {label:30}{times:20}{show_times(is_found, 'missed')}")
    right, invented = count_rows(rows)
    print(f"\n{right} of {len(true)} are found, and {invented} others.")
    picture = Path(folder, "clip.png")
    plot_tags(
        picture,
        tagger,
        path,
        timeline,
        timeline.events(),
        truth=[Event(start, end, label, 1.0) for start, end, label in true],
    )
    print(f"\nPicture: {picture}\n")

    logging.getLogger("fftp_tag").setLevel(logging.ERROR)  # silent clips
    found = evaluate(tagger, prepared, strong_labels=strong_labels)
    print(
        f"All {len(found.ids)} evaluation clips (synthetic): mAP "
        f"{found.metrics['mAP']:.3f}; {found.events['overlap_precision']:.0%} of "
        f"the events found are right, and\n"
        f"{found.events['overlap_recall']:.0%} of the true events are found. An "
        "event is right if it overlaps a true event by half.\n"
    )
    command = os.path.relpath(Path(sys.executable).with_name("fftp-tag"))
    print(NEXT.format(command=command, wav=path, folder=folder))


def first_clips(clips, truth):
    """The first clips that have ten events together, or all of them."""
    counts = np.cumsum([len(truth[clip.id]) for clip in clips])
    return clips[: int(np.searchsorted(counts, N_EVENTS)) + 1]


def join_clips(clips, truth):
    """Joins clips; returns the samples ``[S]`` and the shifted events."""
    wavs, events, seconds = [], [], 0.0
    for clip in clips:
        wav, rate = sf.read(clip.audio)
        wavs.append(wav)
        events += [
            (seconds + start, seconds + end, label)
            for start, end, label in truth[clip.id]
        ]
        seconds += len(wav) / rate
    return np.concatenate(wavs), events


def list_rows(paired):
    """Pairs the events found with the true events that they overlap by half.

    Arguments
    ---------
    paired : dict
        ``ClipEvents`` by label, from ``pair_events``.

    Returns
    -------
    list of tuple
        Label, and start and end of the true event and of the event found, or
        None; ordered by time.
    """
    rows = []
    for label, recordings in paired.items():
        for events in recordings:
            columns = match(overlap_by_half(events))
            matched = {row: column for column, row in columns.items()}
            for row, true in enumerate(events.true.tolist()):
                found = None
                if row in matched:
                    found = events.found[matched[row]].tolist()
                rows.append((label, true, found))
            for column, found in enumerate(events.found.tolist()):
                if column not in matched.values():
                    rows.append((label, None, found))
    return sorted(rows, key=lambda row: row[1] or row[2])


def count_rows(rows):
    """How many true events are found, and how many are found beside."""
    right = sum(None not in row for row in rows)
    return right, sum(is_true is None for _, is_true, _ in rows)


def show_times(event, otherwise):
    """Formats start and end of an event, or returns ``otherwise``."""
    if event is None:
        return otherwise
    start, end = event
    return f"{start:5.2f} - {end:5.2f}"


if __name__ == "__main__":
    main(sys.argv[1])
