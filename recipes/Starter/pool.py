"""Recordings of public repositories, with the author and licence of each.

``pool.csv`` beside lists them. None is of ESC-50's folds 4 and 5, by the number of
Freesound, nor synthesized, as far as their names tell.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import re
import subprocess
import tarfile
from pathlib import Path

import soundfile
from fingerprints import RATE, find_same, fingerprint
from starter_prepare import TAKE

from fftp_tag.audio.decode import read_audio
from fftp_tag.data.tables import read_table

TABLE = Path(__file__).with_name("pool.csv")
COLUMNS = ("repository", "path", "author", "licence", "source")
COMMITS = {
    "AntumMT/mod-sounds": "a002ea8e3b254081101ebe5372bdfe4e473dce48",
    "EmptyStar/asuna": "e6cc683be819535c0edbe3b2969b8b337bd3f53a",
    "Fris0uman/CDDA-Soundpacks": "88586bb600eae4b053a8928bddbd5371d0b1ecc6",
    "JBFH-Dev/Keystroke-Datasets": "2ecdc09b6d1868aae50813f6a6c842bdd52dab06",
    "OpenRCT2/OpenSoundEffects": "0918c4828d47d7bf6c8ce5ff10523651f7e3e60d",
    "OpenTTD/OpenSFX": "71892caa2db3f87e7c16aabf26f32c4c7ae7dca2",
    "OreCruncher/DynamicSurroundings": "93040490bef8591a99c25aa154098a97ab271edd",
    "Tonejs/audio": "efd8296360f9526e379bfbe5c1698ff54d6a1d34",
    "azigler/vacation-station-14": "8843fcbc2692b0a51e89e6cbfdf93e3c428cdaf9",
    "freedoom/freedoom": "d14dbbee3b6fbfb2c11cdb65eb61216e86d4ee85",
    "gheja/doggy-daycare": "fac5bb86373a346f37b48517798c86970bf41402",
    "hainguyents13/mechvibes": "96920948c9aec41ab7c49cdff30fc90ce4ab9946",
    "iwenzhou/kenney": "b7729283e47d38f203d85560cfda5b2c1fd6fc7e",
    "mateusfg7/Noisekun": "d32024c67aba7c0577e1609944af00b9df1b7775",
    "minetest-whynot/whynot-game": "c15e2e116946dddb3a0ba83d32f6be0b7e4104fb",
    "openclonk/openclonk": "db975b4a887883f4413d1ce3181f303d83ee0ab5",
    "rafaelmardojai/blanket": "8b1c27aedde1d6ad8053ce5ad351a2924bcdb766",
    "redeclipse/sounds": "ce37957f444a5402b9b5a899032c70453f85db16",
    "sonic-pi-net/sonic-pi": "c0002065a976b1355e7889f4aa96a1804e2b8119",
}
NUMBERED = ("OpenTTD/OpenSFX", "redeclipse/sounds")  # not takes, but sounds
TAKES = 4  # of one object, at most
SHORTEST = 0.1  # seconds
FREESOUND = re.compile(
    r"freesound\.org/(?:people/[^\s/]+/sounds|s|samplesViewSingle\.php\?id=)"
    r"/?(\d+)"
)


def lay_out(clones, folder):
    """Writes the recordings of all repositories below a folder, as FLAC.

    Arguments
    ---------
    clones : Path
        Folder of git clones, ``owner+name`` each.
    folder : Path
        Folder to write to.

    Returns
    -------
    list of tuple
        Path and row of each recording.
    """
    rows = {}
    for _, row in read_table(TABLE, COLUMNS):
        rows.setdefault(row["repository"], []).append(row)
    clips = []
    for repository, commit in COMMITS.items():
        name = repository.replace("/", "+")
        paths = [row["path"] for row in rows[repository]]
        command = ["git", "-C", str(clones / name), "--literal-pathspecs"]
        tar = subprocess.run(
            [*command, "archive", commit, "--", *paths],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            archive.extractall(folder / name, filter="data")
        for row in rows[repository]:
            path = folder / name / row["path"]
            samples, rate = soundfile.read(path, always_2d=True)
            # As FLAC: some Ogg files lack the mark of their last page
            path = path.with_name(f"{path.name}.flac")
            soundfile.write(path, samples.mean(1), rate)
            clips.append((path, describe(row)))
    return clips


def describe(row):
    """A recording's row in the table beside it, and its group: that of the
    recording on Freesound, or the takes of one object.
    """
    path = Path(row["path"])
    is_numbered = row["repository"] in NUMBERED
    take = path.stem if is_numbered else TAKE.sub("", path.stem)
    numbers = FREESOUND.findall(row["source"])
    name = f"{row['repository']}/{row['path']}"
    return {
        "file": re.sub(r"[^\w.-]+", "-", name) + ".flac",
        "title": path.stem,
        "author": row["author"],
        "licence": row["licence"],
        "source": row["source"],
        "freesound_id": " ".join(numbers),
        "group": " ".join(numbers)
        or f"{row['repository']}/{path.parent}/{take}",
    }


def choose(clips, others):
    """Leaves out what is too short, what is in other recordings as well, what is
    there twice, and more than ``TAKES`` of a group.

    Arguments
    ---------
    clips : list of tuple
        Path and row of each recording.
    others : dict
        Recordings that the pool must not have: numbers of Freesound by path.

    Returns
    -------
    list of tuple
        Path and row of those that are left.
    dict
        Why others were left out, by path.
    """
    numbers = {number for own in others.values() for number in own}
    out, read = {}, {}
    for path, row in clips:
        if numbers & set(row["freesound_id"].split()):
            out[path] = "held out, by its number"
            continue
        wav = read_audio(path, RATE)
        if len(wav) < SHORTEST * RATE or abs(wav).max() < 1e-3:
            out[path] = "short or silent"
        else:
            read[path] = fingerprint(wav)
    paths = [*others, *read]
    prints = [fingerprint(read_audio(path, RATE)) for path in others]
    for one, other in find_same([*prints, *read.values()]):
        if other >= len(others):
            kind = "held out" if one < len(others) else "there twice"
            out.setdefault(paths[other], f"{kind}: {paths[one]}")
    takes, left = {}, []
    for path, row in clips:
        if path in out:
            continue
        takes[row["group"]] = takes.get(row["group"], 0) + 1
        if takes[row["group"]] > TAKES:
            out[path] = "one of many takes"
        else:
            left.append((path, row))
    return left, out
