#!/usr/bin/env python3
"""Makes speech and music for the starter model, by two programs of Debian.

* ``speech``: sentences of random words, by espeak-ng in all its voices;
* ``music``: pieces of MIDI files and random phrases of each instrument of General
  MIDI, by fluidsynth with a soundfont.

> python recipes/Starter/make_sounds.py OUT --words README.md \
>     --midi MIDI_FOLDER --soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import random
import re
import struct
import subprocess
import tempfile
from pathlib import Path

import soundfile

from fftp_tag.audio.decode import read_audio
from fftp_tag.files import write_csv

RATE = 16000
LANGUAGES = "en-us en-gb de fr es it pl pt ru nl sv tr hi cmn el fi ro".split()
VARIANTS = "m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 f5 whisper croak".split()
WORDS_PER_MINUTE = (110, 220)
PITCH = (20, 80)  # of 0 to 99
PIECE_SECONDS, PIECES = 30, 2  # of each MIDI file
PROGRAMS, PHRASES = 128, 3  # instruments, and phrases of each
SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16)  # semitones
TICKS = 96  # of a quarter note


def make_speech(folder, words, draws, count):
    """Sentences of random words, each by a random voice."""
    for number in range(count):
        text = " ".join(draws.choices(words, k=draws.randint(4, 16)))
        voice = f"{draws.choice(LANGUAGES)}+{draws.choice(VARIANTS)}"
        path = folder / f"{voice.replace('+', '_')}_{number:04d}"
        wav = path.with_suffix(".wav")
        command = ["espeak-ng", "-v", voice, "-w", str(wav)]
        command += ["-s", str(draws.randint(*WORDS_PER_MINUTE))]
        command += ["-p", str(draws.randint(*PITCH)), text]
        subprocess.run(command, check=True)
        samples = read_audio(wav, RATE)
        wav.unlink()
        soundfile.write(path.with_suffix(".flac"), samples, RATE)


def play(midi, soundfont):
    """The samples ``[S]`` of a MIDI file."""
    with tempfile.TemporaryDirectory() as scratch:
        wav = Path(scratch, "played.wav")
        command = ["fluidsynth", "-ni", "-q", "-F", str(wav), "-r", "22050"]
        subprocess.run([*command, str(soundfont), str(midi)], check=True)
        return read_audio(wav, RATE)


def make_pieces(folder, midi_files, soundfont, draws):
    """Random pieces of MIDI files."""
    size = PIECE_SECONDS * RATE
    for midi in midi_files:
        wav = play(midi, soundfont)
        for number in range(PIECES):
            start = draws.randrange(max(len(wav) - size, 0) + 1)
            path = folder / f"{midi.stem}_{number}.flac"
            soundfile.write(path, wav[start : start + size], RATE)


def make_phrases(folder, soundfont, draws):
    """Random phrases of each instrument."""
    with tempfile.TemporaryDirectory() as scratch:
        midi = Path(scratch, "phrase.mid")
        for program in range(PROGRAMS):
            for number in range(PHRASES):
                midi.write_bytes(random_phrase(program, draws))
                path = folder / f"program{program:03d}_{number}.flac"
                soundfile.write(path, play(midi, soundfont), RATE)


def random_phrase(program, draws):
    """A MIDI file of ten random notes or chords of an instrument."""
    events = bytes((0, 0xC0, program))
    base = draws.choice((36, 48, 60)) + draws.randrange(12)
    for _ in range(10):
        step = draws.choice((TICKS // 2, TICKS // 2, TICKS, 2 * TICKS - 66))
        first = draws.randrange(len(SCALE))
        size = draws.choice((1, 1, 1, 3))
        notes = [
            base + SCALE[(first + 2 * x) % len(SCALE)] for x in range(size)
        ]
        for note in notes:
            events += bytes((0, 0x90, note, draws.randint(60, 120)))
        for place, note in enumerate(notes):
            events += bytes((0 if place else step, 0x80, note, 0))
    events += bytes((0, 0xFF, 0x2F, 0))
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS)
    return header + struct.pack(">4sI", b"MTrk", len(events)) + events


def main():
    """Makes both folders."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=Path, required=True, help="a text")
    parser.add_argument("--sentences", type=int, default=800)
    parser.add_argument("--midi", type=Path, required=True, help="a folder")
    parser.add_argument("--soundfont", type=Path, required=True)
    args = parser.parse_args()
    words = re.findall(r"[a-z]{2,}", args.words.read_text(encoding="utf-8"))
    for name in ("speech", "music"):
        (args.out / name).mkdir(parents=True)
    make_speech(args.out / "speech", words, random.Random(0), args.sentences)
    midi_files = sorted(args.midi.glob("*.mid"))
    make_pieces(
        args.out / "music", midi_files, args.soundfont, random.Random(1)
    )
    make_phrases(args.out / "music", args.soundfont, random.Random(2))
    credits = {
        "speech": "espeak-ng, random words",
        "music": f"fluidsynth, {args.soundfont.name}, MIDI files {args.midi}",
    }
    for name, source in credits.items():
        files = sorted(path.name for path in (args.out / name).glob("*.flac"))
        rows = [(file, source) for file in files]
        write_csv(args.out / name / "attribution.csv", ("file", "source"), rows)


if __name__ == "__main__":
    main()
