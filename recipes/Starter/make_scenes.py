#!/usr/bin/env python3
"""Makes scenes with known sounds, by which the starter's rules are learnt.

DATA has the folders esc10 and everyday, see studies/README.md; their clips of one
fold are mixed, one to three in ten seconds. Parts of other recordings, such as
music, speech and noise, are scenes as they are. The true classes of a scene are
those of its clips and, since these are few, what a teacher hears in it.

> python recipes/Starter/make_scenes.py DATA OUT --teacher MODEL \
>     --others MUSIC_FOLDER SPEECH_FOLDER
> python studies/learn_rules.py MODEL.onnx OUT STARTER.onnx

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from everyday import FOLDS, read_clips
from starter_prepare import RATE, read_sound

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import find_audio_files, read_audio
from fftp_tag.audio.mixing import add_sound, coloured_noise, from_decibels
from fftp_tag.data.custom import CLIP_LIST
from fftp_tag.files import write_csv

SECONDS = 10
COUNTS = (0.4, 0.4, 0.2)  # probabilities of one, two, ... clips
LEVEL_DB = (-35, -15)  # of a clip
NOISE_DB = (-60, -35)  # of noise, in each scene
EXPONENTS = (0.0, 1.0, 2.0)  # of noises: power ~ 1 / f ** exponent
FADE = 160  # samples
OTHERS = 12  # scenes of another recording, at most
HEARD = 0.3  # probability at which the teacher hears a class


def known_clips(data, fold):
    """The clips of a fold that have one of AudioSet's names, by class."""
    found = {}
    for clip in read_clips(data):
        if clip.fold == fold and clip.name:
            found.setdefault(clip.name, []).append(clip)
    return found


def mix_scene(clips, rng):
    """Mixes a scene ``[S]``; returns it and its classes."""
    scene = np.zeros(SECONDS * RATE, np.float32)
    names = rng.choice(
        sorted(clips), 1 + rng.choice(len(COUNTS), p=COUNTS), replace=False
    )
    for name in names:
        clip = clips[name][rng.integers(len(clips[name]))]
        wav = read_sound(clip.path) / np.float32(2**15)
        start = rng.integers(max(len(scene) - len(wav), 0) + 1)
        level = from_decibels(rng.uniform(*LEVEL_DB))
        add_sound(scene, wav, start, level, FADE)
    return with_noise(scene, rng), list(names)


def with_noise(scene, rng):
    """A scene with noise, at most at full scale."""
    noise = coloured_noise(rng, len(scene), RATE, rng.choice(EXPONENTS))
    scene = scene + from_decibels(rng.uniform(*NOISE_DB)) * noise
    return (scene / max(1.0, np.abs(scene).max())).astype(np.float32)


def cut_scenes(path, rng):
    """Parts ``[S]`` of a recording, at random."""
    wav = read_audio(path, RATE)
    size = SECONDS * RATE
    count = min(len(wav) // size + 1, OTHERS)
    for _ in range(count):
        start = rng.integers(max(len(wav) - size, 0) + 1)
        yield with_noise(wav[start : start + size], rng)


def main():
    """Writes the scenes and their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--others", nargs="*", default=[], help="folders")
    parser.add_argument("--fold", default="5", choices=FOLDS)
    parser.add_argument("--scenes", type=int, default=1000)
    args = parser.parse_args()
    teacher = AudioTagger.from_pretrained(args.teacher, threads=1)
    rng = np.random.default_rng(0)
    clips = known_clips(args.data.resolve(), args.fold)
    (args.out / "audio").mkdir(parents=True)
    rows = []

    def add(wav, names, group):
        """Writes a scene."""
        path = Path("audio", f"{len(rows):04d}.flac")
        soundfile.write(args.out / path, wav, RATE)
        probs = teacher.clip_probabilities(args.out / path)
        heard = [teacher.labels[x] for x in np.flatnonzero(probs >= HEARD)]
        labels = ";".join(dict.fromkeys([*names, *heard]))
        rows.append((path, labels, group))

    for number in range(args.scenes):
        add(*mix_scene(clips, rng), group=f"scene{number}")
    for folder in args.others:
        for path in find_audio_files(folder)[0]:
            for wav in cut_scenes(path, rng):
                add(wav, (), group=Path(path).stem)
    write_csv(args.out / CLIP_LIST, ("path", "labels", "group"), rows)
    print(f"{len(rows)} scenes in {args.out}")


if __name__ == "__main__":
    main()
