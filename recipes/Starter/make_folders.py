#!/usr/bin/env python3
"""Lays out the recordings that the starter in the package learnt from.

DATA has the folders esc10, everyday, audioset_mini and speech_commands, see
studies/README.md; LIBROSA is a clone of github.com/librosa/data. OUT gets a folder
of each for training, and below ``held_out`` three folders of music, speech and
noise, to count false alarms in. make_sounds.py adds ``speech`` and ``music``.

With KITCHEN20, a clone of github.com/marc-moreaux/kitchen20, ``held_out`` also has
kitchen sounds in the form of everyday, without drawers, which are in that. With
CLONES, a folder of git clones, OWNER+NAME each, there is the ``pool`` of what
pool.csv lists, without what is also in DATA or KITCHEN20.

> python recipes/Starter/make_folders.py DATA LIBROSA OUT \
>     --kitchen20 KITCHEN20 --clones CLONES

For choices, ``--folds 1 2`` leaves fold 3 out. ``held_out/withheld`` has the clips
of ten classes, in the form of everyday.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from everyday import FOLDS, TRAINING, read_clips
from pool import choose, lay_out
from starter_prepare import RATE, choose_split, find_row, read_tables

from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.mixing import coloured_noise, from_decibels
from fftp_tag.data.tables import read_table
from fftp_tag.files import write_csv

VALID_FRACTION = 0.05  # of the speakers, as in hparams/starter.yaml
NOT_FREE = "CC-Sampling+"  # licence of clips that are not learnt from
INSTRUMENTS = {"Violin_or_fiddle": "Violin, fiddle", "Hi_hat": "Hi-hat"}
CC_BY = "CC BY 3.0"
ARCHIVE = "https://freemusicarchive.org/music"
# Beginning of the file's name, title, author, licence and source
TRACKS = (
    (
        "glacier-bay",
        "Glacier Bay 60-second clip humpback whale song November 2020",
        "NPS - Chris Gabriele",
        "public domain",
        "https://www.nps.gov/glba/learn/nature/soundclips.htm",
    ),
    (
        "Hungarian_Dance",
        "Hungarian Dance number 5",
        "Johannes Brahms / US Army Strings",
        "public domain",
        "https://musopen.org/music/43805-hungarian-dance-no-5-in-f-sharp-"
        "minor-woo-1-string-orchestra-arr/",
    ),
    (
        "sorohanro",
        "Part of Jazz Trumpet Loops Pack in F 90 bpm",
        "Mihai Sorohan",
        CC_BY,
        "https://freesound.org/s/77711/",
    ),
    (
        "456440",
        "Bird Whistling, Robin, Single, 13",
        "InspectorJ",
        CC_BY,
        "https://freesound.org/people/InspectorJ/sounds/456440/",
    ),
    (
        "Kevin_MacLeod_-_Vibe",
        "Vibe Ace",
        "Kevin MacLeod",
        CC_BY,
        f"{ARCHIVE}/Kevin_MacLeod/Jazz_Sampler/Vibe_Ace",
    ),
)
# Beginnings of what is held out
MUSIC = ("147793", "442789", "Karissa", "Kevin_MacLeod_-_P_I", "admiralbob77")
READINGS = ("198", "3436", "5703")
PAUSE = 0.3  # seconds after a word
NOISE_MINUTES = 5  # of each kind of noise
NOISE_DB = (-50, -20)  # its level, of each minute
EXPONENTS = (0.0, 1.0, 2.0)  # power ~ 1 / f ** exponent
# To measure ``learn`` on classes that an encoder never met, see starter.yaml
WITHHELD = (
    "cat_meow",
    "church_bells",
    "coughing",
    "crow",
    "glass_breaking",
    "keyboard_typing",
    "snoring",
    "toilet_flush",
    "train",
    "vacuum_cleaner",
)


def copy_clips(folder, rows):
    """Copies clips ``(path, row)``, and writes their rows beside them."""
    (folder / "audio").mkdir(parents=True)
    for path, row in rows:
        shutil.copy(path, folder / "audio" / row["file"])
    columns = list(rows[0][1])
    values = [[row[x] for x in columns] for _, row in rows]
    write_csv(folder / "clips.csv", columns, values)


def everyday_sounds(data, name, folds=TRAINING):
    """The clips of a folder in some folds, and their rows."""
    clips = [
        clip
        for clip in read_clips(data)
        if clip.fold in folds and clip.path.parents[1].name == name
    ]
    tables = read_tables([clip.path for clip in clips])
    for clip in clips:
        row = find_row(clip.path, tables) | {"audioset": clip.name}
        if row.get("license") != NOT_FREE:
            del row["table"]
            yield clip.path, row


def instruments(data):
    """The clips that are not for evaluation, and their rows."""
    folder = data / "audioset_mini"
    for _, row in read_table(folder / "clips.csv", ("ytid", "split")):
        if row["split"] != "eval":
            name = row["source_label"]
            name = INSTRUMENTS.get(name, name.replace("_", " "))
            own = {
                "file": f"{row['ytid']}.flac",
                "audioset": name,
                "freesound_id": row["freesound_id"],
                "license": row["license"],
                # The data set names no author, the page does
                "source": f"https://freesound.org/s/{row['freesound_id']}/ "
                "via FSDKaggle2018 (CC BY 4.0)",
            }
            yield folder / "audio" / own["file"], own


def words(data):
    """The words of Speech Commands."""
    return sorted(data.glob("speech_commands/*/*_nohash_*.flac"))


def find_track(librosa, beginning):
    """The recording of librosa's whose name begins so."""
    paths = sorted((librosa / "audio").glob(f"{beginning}*.hq.ogg"))
    return next(path for path in paths if path.is_file())


def copy_tracks(librosa, folder):
    """Copies the recordings of ``TRACKS``, and writes their origins."""
    rows = []
    for beginning, *origin in TRACKS:
        path = find_track(librosa, beginning)
        columns = ("file", "title", "author", "licence", "source")
        rows.append((path, dict(zip(columns, (path.name, *origin)))))
    copy_clips(folder, rows)


def copy_words(data, folder):
    """Copies all words, and writes their origin."""
    origin = ("Speech Commands Data Set v0.02", "Google", "CC BY 4.0")
    rows = []
    for path in words(data):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.parent.name)
        rows.append((path.name, *origin))
    columns = ("file", "title", "author", "licence")
    write_csv(folder / "clips.csv", columns, rows)


def hold_out(data, librosa, folder):
    """Writes music, speech and noise that nothing is learnt from."""
    for kind, beginnings in (("music", MUSIC), ("speech", READINGS)):
        (folder / kind).mkdir(parents=True)
        for beginning in beginnings:
            shutil.copy(find_track(librosa, beginning), folder / kind)
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    parts = []
    for path in words(data):
        if choose_split(path.stem, VALID_FRACTION) == "valid":
            parts += [read_audio(path, RATE), pause]
    soundfile.write(folder / "speech/words.flac", np.concatenate(parts), RATE)
    rng = np.random.default_rng(0)
    (folder / "noise").mkdir()
    for exponent in EXPONENTS:
        minutes = [
            from_decibels(rng.uniform(*NOISE_DB))
            * coloured_noise(rng, 60 * RATE, RATE, exponent)
            for _ in range(NOISE_MINUTES)
        ]
        path = folder / f"noise/power_{exponent:.0f}.flac"
        soundfile.write(path, np.concatenate(minutes), RATE)


def withheld(data):
    """The clips of the classes that are withheld, and their rows."""
    for clip in read_clips(data):
        if clip.label in WITHHELD:
            row = {"file": clip.path.name, "label": clip.label}
            yield clip.path, row | {"audioset": clip.name, "fold": clip.fold}


def others(data, kitchen20):
    """What the pool must not have: the numbers of Freesound of each clip of all
    folds and of kitchen20, by path.
    """
    tables = [
        (data / "esc10", "esc10.csv"),
        (data / "everyday", "clips.csv"),
        (data / "audioset_mini", "clips.csv"),
    ]
    found = {}
    for folder, table in tables:
        for _, row in read_table(folder / table, ()):
            name = row.get("file") or f"{row['ytid']}.flac"
            told = row.get("group") or row.get("freesound_id") or name
            number = re.search(r"\d{4,}", told)
            found[folder / "audio" / name] = [number[0]] if number else []
    if kitchen20:
        columns = ("path", "usr_id")
        for _, row in read_table(kitchen20 / "kitchen20.csv", columns):
            found[kitchen20 / row["path"]] = [row["usr_id"]]
    return found


def kitchen(folder):
    """The clips of kitchen20 but of drawers, and their rows.

    All clips of a recording are in the first of its folds.
    """
    columns = ("path", "category", "fold", "usr_id")
    rows = [row for _, row in read_table(folder / "kitchen20.csv", columns)]
    folds = {}
    for row in sorted(rows, key=lambda row: int(row["fold"])):
        folds.setdefault(row["usr_id"], row["fold"])
    for row in rows:
        if row["category"] != "drawer":
            path = folder / row["path"]
            own = {
                "file": path.name,
                "label": row["category"],
                "audioset": "",
                "fold": folds[row["usr_id"]],
            }
            yield path, own


def main():
    """Writes the folders."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("librosa", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kitchen20", type=Path)
    parser.add_argument("--clones", type=Path)
    parser.add_argument("--folds", nargs="+", default=TRAINING, choices=FOLDS)
    args = parser.parse_args()
    for name in ("everyday", "esc10"):
        clips = everyday_sounds(args.data, name, args.folds)
        copy_clips(args.out / name, list(clips))
    copy_clips(args.out / "instruments", list(instruments(args.data)))
    copy_tracks(args.librosa, args.out / "tracks")
    copy_words(args.data, args.out / "speech_commands")
    hold_out(args.data, args.librosa, args.out / "held_out")
    if args.kitchen20:
        clips = list(kitchen(args.kitchen20))
        copy_clips(args.out / "held_out/kitchen/everyday", clips)
    copy_clips(args.out / "held_out/withheld/everyday", [*withheld(args.data)])
    if args.clones:
        with tempfile.TemporaryDirectory() as folder:
            clips = lay_out(args.clones, Path(folder))
            left, out = choose(clips, others(args.data, args.kitchen20))
            copy_clips(args.out / "pool", left)
        reasons = sorted((str(path), reason) for path, reason in out.items())
        write_csv(args.out / "left_out.csv", ("path", "reason"), reasons)


if __name__ == "__main__":
    main()
