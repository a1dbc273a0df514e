"""How ``fftp-tag`` finds its files and prints what it found in them.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import sys

FORMATS = ("table", "json", "jsonl", "csv", "audacity")

# Files of folders that are taken for audio, among those that soundfile reads.
EXTENSIONS = (
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .w64 .wav"
)
EXTENSIONS = tuple(EXTENSIONS.split())


def find_files(names):
    """Replaces folders by the audio files in them and in their folders.

    Arguments
    ---------
    names : list of str
        Files, folders and ``-``.

    Returns
    -------
    files : list of str
        In the order given, those of a folder by name.
    errors : list of str
        What is wrong with some of the folders.

    Example
    -------
    >>> folder = getfixture("tmpdir").mkdir("sounds")
    >>> for name in ("b.wav", "A.FLAC", "notes.txt"):
    ...     _ = (folder / name).write("")
    >>> files, errors = find_files(["-", str(folder)])
    >>> [os.path.basename(path) for path in files], errors
    (['-', 'A.FLAC', 'b.wav'], [])
    """
    files, errors = [], []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        found, failed = [], []
        for folder, subfolders, entries in os.walk(name, onerror=failed.append):
            subfolders.sort()
            found += [
                os.path.join(folder, entry)
                for entry in sorted(entries)
                if entry.lower().endswith(EXTENSIONS)
            ]
        errors += [f"{e.filename} cannot be read: {e.strerror}" for e in failed]
        if not found and not failed:
            errors.append(
                f"{name} holds no audio: no files named {' '.join(EXTENSIONS)}"
            )
        files += found
    return files, errors


class Output:
    """Prints the tags or the events of files in one of the formats.

    Arguments
    ---------
    form : str
        One of ``FORMATS``.
    timeline : bool
        Whether events are to be printed, not tags.

    Example
    -------
    >>> from speechbrain_fftp.inference import Event, Tag
    >>> output = Output("jsonl", timeline=False)
    >>> output.add("a.wav", [Tag("Siren", 0.5)])
    {"file": "a.wav", "tags": [{"label": "Siren", "probability": 0.5}]}
    >>> output = Output("csv", timeline=True)
    file,start,end,label,probability
    >>> output.add("a.wav", [Event(0.25, 2.0, "Bark, dog", 0.5)])
    a.wav,0.25,2.0,"Bark, dog",0.5
    """

    def __init__(self, form, timeline):
        self.form = form
        self.timeline = timeline
        self.files = []
        if form == "csv":
            times = ["start", "end"] if timeline else []
            self._write_row(["file", *times, "label", "probability"])

    def add(self, file, found):
        """Prints what was found in a file, or keeps it for ``close``.

        Arguments
        ---------
        file : str
            Its name.
        found : list of Tag or Event
            What was found.
        """
        rows = [item.to_dict() for item in found]
        if self.form in ("json", "jsonl"):
            key = "events" if self.timeline else "tags"
            self.files.append({"file": file, key: rows})
            if self.form == "jsonl":
                print(json.dumps(self.files.pop()))
        elif self.form == "csv":
            for row in rows:
                self._write_row([file, *row.values()])
        elif self.form == "audacity":
            for row in rows:
                label = " ".join(row["label"].split())
                print(f"{row['start']:.6f}\t{row['end']:.6f}\t{label}")
        else:
            print(file)
            for row in rows:
                times = ""
                if self.timeline:
                    times = f"{row['start']:9.2f} {row['end']:9.2f}"
                print(f"{times}  {row['probability']:.3f}  {row['label']}")
        sys.stdout.flush()

    def close(self):
        """Prints what was kept."""
        if self.form == "json":
            print(json.dumps(self.files, indent=2))

    @staticmethod
    def _write_row(row):
        """Prints a row of a CSV table."""
        csv.writer(sys.stdout, lineterminator="\n").writerow(row)
