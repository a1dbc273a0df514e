"""SoundIndex: finds what sounds like an example in an archive.

An index is an npz file: its settings, the files that are indexed, and the mean
tokens of spans of these in float16; for tagging, all features that a learnt model
classifies.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import dataclasses
import logging
import math
import os
import tempfile
import time
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fftp_tag.audio.decode import DamagedAudio, find_audio_files
from fftp_tag.audio.pieces import FilePiece, Reading, Source, overlaps
from fftp_tag.errors import InputError, counted, one_line
from fftp_tag.files import (
    PathLike,
    check_target,
    file_identity,
    is_unchanged,
    named_damage,
    remove_leftovers,
)
from fftp_tag.held import held
from fftp_tag.model.edit import copy_model
from fftp_tag.model.graphs import GraphBuilder, add_output
from fftp_tag.model.session import Model
from fftp_tag.model.spans import (
    IS_HEARD,
    OUTPUT,
    make_span_model,
    remove_outputs,
    token_size,
)
from fftp_tag.parallel import in_order
from fftp_tag.search.clips import UPDATE
from fftp_tag.store import read_entries, write_entries
from fftp_tag.tag.tagger import AudioTagger

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

SPAN_SECONDS = 5.0  # by default
MOVED_SHARE = 0.5  # of the files, in a folder that takes the archive's place
SAVE_SECONDS = 60.0  # from one time that an index is saved to the next
TINY = 1e-6  # instead of a length or a standard deviation of 0
MIN_SPANS = 10  # to tell how features are distributed
HEARD = "heard_spans"  # the mean token of spans, 0 of silent ones


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an index was made; spans are of whole tokens, in seconds."""

    archive: str  # the folder whose files are indexed
    model: str = dataclasses.field(compare=False)  # where it was loaded from
    digest: str  # checksum of what computes the features
    window: float  # length
    hop: float  # from one span to the next
    # Whether spans have all features that a learnt model classifies, not only
    # the mean token, and silent ones are kept
    for_tagging: bool = False

    @property
    def encoded(self) -> float | None:
        """The spans that are encoded, see ``span_encoder``."""
        return None if self.for_tagging else self.window


class IndexedFile(NamedTuple):
    """The spans of a file, without silent ones but for tagging."""

    identity: str  # of the file when it was indexed
    seconds: float  # its length
    damage: DamagedAudio | None  # if it was read in part
    times: np.ndarray  # start and end in seconds, [N, 2]
    rows: np.ndarray  # features, [N, F], in float16; 0 of silent spans


@dataclasses.dataclass(frozen=True)
class Match:
    """A span of a file that sounds like an example.

    Arguments
    ---------
    file : str
    start, end : float
        In seconds.
    score : float
        The similarity to the examples.
    identity : str
        The ``file_identity`` when the file was indexed.

    Example
    -------
    >>> Match("a.wav", 5.0, 10.0, 0.75, identity="0f1e").to_dict()
    {'file': 'a.wav', 'start': 5.0, 'end': 10.0, 'score': 0.75}
    """

    file: str
    start: float
    end: float
    score: float
    identity: str

    def to_dict(self) -> dict:
        """The fields by name, but the identity."""
        values = dataclasses.asdict(self)
        del values["identity"]
        return values


class Update(NamedTuple):
    """Result of ``update_index``, mostly numbers of files."""

    added: int  # new or changed files that were read
    unchanged: int  # files that were in the index already
    dropped: int  # files in the index that have changed or vanished
    damaged: int  # files that were read in part
    errors: list[str]  # reasons why files and folders cannot be read
    n_spans: int  # in the index


@dataclasses.dataclass(frozen=True, eq=False)
class SoundIndex:
    """Features of the spans of all files of a folder.

    Arguments
    ---------
    settings : Settings
    files : dict of IndexedFile
        By path relative to the folder.
    """

    settings: Settings
    files: dict[str, IndexedFile]

    @classmethod
    def load(cls, path: PathLike) -> "SoundIndex":
        """Reads a file that ``update_index`` has written.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        InputError
            If it is damaged, or names files outside its folder.
        """
        remedy = "index again into another file"
        about, entries = read_entries(path, remedy)
        files = {}
        with named_damage(path, remedy):
            settings = Settings(**about["settings"])
            for name, (times, rows) in entries.items():
                identity, seconds, damage = about["files"][name]
                damage = None if damage is None else DamagedAudio(*damage)
                if times.shape != (len(rows), 2) or rows.ndim != 2:
                    raise ValueError(f"spans of {name}")
                files[name] = IndexedFile(
                    identity, seconds, damage, times, rows
                )
        for name in files:
            if not is_below(name):
                raise InputError(
                    f"{path} names {name!r}, which is not in its folder: do not "
                    "use it, and index again into another file"
                )
        return cls(settings, files)

    def save(self, path: PathLike) -> None:
        """Writes the index."""
        files = self.files.items()
        about = {
            "settings": dataclasses.asdict(self.settings),
            "files": {
                name: (
                    file.identity,
                    file.seconds,
                    file.damage and (file.damage.seconds, file.damage.stated),
                )
                for name, file in files
            },
        }
        entries = {name: (file.times, file.rows) for name, file in files}
        write_entries(path, about, entries)

    def path(self, name: str) -> str:
        """Where a file of the index is."""
        return os.path.join(self.settings.archive, name)

    def load_encoder(self, tagger: AudioTagger) -> AudioTagger:
        """The model of the index, which is that of ``tagger`` or learnt on it.

        Raises
        ------
        InputError
            If it is another model.
        """
        encoder, digest = span_encoder(tagger, self.settings.encoded)
        if digest != self.settings.digest:
            raise InputError(
                f"{tagger.model.path} is not the model of the index "
                f"({self.settings.model}), nor learnt on it with spans of this "
                "length: use that model, or make a new index in another file."
            )
        return encoder

    def embed(
        self,
        encoder: AudioTagger,
        source: Source,
        sample_rate: int | None = None,
    ) -> np.ndarray:
        """The features ``[F]`` of an example, the mean over its spans.

        ``encoder`` is that of ``load_encoder``; for ``source`` see
        ``AudioTagger``.

        Raises
        ------
        InputError
            If the example cannot be read, or is silent.
        """
        step = encoder.model.hop_samples / encoder.sample_rate
        rows = cut_file(encoder, step, source, sample_rate)[2]
        rows = rows[rows.any(1)]
        if not len(rows):
            name = source if isinstance(source, FilePiece) else "The example"
            raise InputError(f"{name} is silent: give another one.")
        return rows.astype(np.float32).mean(0)

    def find(
        self,
        examples: np.ndarray,
        top_k: int = 20,
        sample_size: int = 4096,
    ) -> list[Match]:
        """Finds the spans that are most similar to the examples.

        Similarity is the cosine of the angle between the features of a match,
        standardised over the index, and a direction: the mean of those of the
        examples, divided by their shrunk covariance over the index. It is
        relative to that of the mean itself. Where the index has too few spans
        to tell how features are distributed, it is the cosine as it is. Of
        matches that overlap, only the most similar one is returned.

        Arguments
        ---------
        examples : numpy.ndarray
            The features ``[F]`` of ``embed``, or of several, ``[E, F]``.
        top_k : int
            Maximum number of matches.
        sample_size : int
            Number of spans to estimate the distribution of features from.

        Returns
        -------
        list of Match
            The most similar match first.

        Raises
        ------
        InputError
            If the index is empty.
        """
        rows = [
            row
            for file in self.files.values()
            for row in file.rows[file.rows.any(1)]
        ]
        if not rows:
            raise InputError(
                "The index is empty: none of the files in "
                f"{self.settings.archive} could be read, or all are silent."
            )
        sample = np.array(
            rows[:: math.ceil(len(rows) / sample_size)], np.float32
        )
        mean, scale, precision = measure_spread(sample)
        examples = np.atleast_2d(np.asarray(examples, np.float32))
        examples = unit_length((examples - mean) * scale)
        example = unit_length(examples.mean(0))
        direction = precision @ example
        direction /= max(direction @ example, TINY)
        scores = []
        for file in self.files.values():
            own = (file.rows.astype(np.float32) - mean) * scale
            similarity = unit_length(own) @ direction
            scores.append(np.where(file.rows.any(1), similarity, -np.inf))
        return self.best(np.concatenate(scores), top_k)

    def best(self, scores: np.ndarray, top_k: int) -> list[Match]:
        """Finds the spans with the highest scores ``[N]``, none of -infinity.

        They do not overlap each other, and their files are unchanged.
        """
        spans = [
            (self.path(name), file.identity, *times)
            for name, file in self.files.items()
            for times in file.times.tolist()
        ]
        usable: dict[str, bool] = {}
        taken: dict[str, list] = collections.defaultdict(list)
        matches: list[Match] = []
        for row in np.argsort(-scores, kind="stable").tolist():
            if len(matches) == top_k or scores[row] == -np.inf:
                break
            path, identity, start, end = spans[row]
            if path not in usable:
                usable[path] = is_unchanged(path, identity)
            if usable[path] and not overlaps(start, end, taken[path]):
                taken[path].append((start, end))
                score = float(scores[row])
                matches.append(Match(path, start, end, score, identity))
        changed = [path for path in usable if not usable[path]]
        if changed and not matches:
            raise InputError(
                f"The files of the index have changed or are gone, such as "
                f"{changed[0]}: {UPDATE}"
            )
        if changed:
            logger.warning(
                "%s skipped, changed or gone, such as %s: %s",
                counted(len(changed), "file"),
                changed[0],
                UPDATE,
            )
        return matches


def update_index(
    path: PathLike,
    tagger: AudioTagger,
    archive: PathLike,
    window: float | None = None,
    hop: float | None = None,
    model: str | None = None,
    for_tagging: bool = False,
    num_workers: int = 4,
    progress: bool = False,
) -> Update:
    """Makes an index of the audio files below a folder, or updates it.

    Files in the index that are unchanged, by ``file_identity``, are not read
    again, also if the archive was moved, unless they were damaged. The index is
    saved once a minute, and when it is interrupted: call this again to continue.

    Arguments
    ---------
    path : str
        The index.
    tagger : AudioTagger
    archive : str
        The folder of audio files.
    window, hop : float, optional
        Length of a span in seconds, by default 5 or the model's maximum clip
        length, and step from one to the next, by default the length.
        Spans have whole tokens, and begin at one of eight steps.
    model : str, optional
        Where ``fftp-tag find`` loads the model from, by default its file.
    for_tagging : bool
        Whether to store all features that the tagger's model, which ``learn``
        has written, classifies, of its own spans: see ``IndexTagger``.
    num_workers, progress : int, bool
        Number of threads that read and encode, and whether to show progress.

    Raises
    ------
    FileNotFoundError
        If the archive has no audio files; its disk may not be mounted.
    InputError
        If the index has another archive, model, window or hop, or the window or
        the hop is out of range; or another process writes the index.
    """
    check_target(path)
    archive = os.path.abspath(archive)
    paths, failed = find_audio_files(archive)
    with held(f"{path}.lock"):
        remove_leftovers(path)
        before: Settings | None = None
        known: dict[str, IndexedFile] = {}
        if os.path.exists(path):
            index = SoundIndex.load(path)
            before, known = index.settings, index.files
            window, hop = window or before.window, hop or before.hop
            for_tagging = for_tagging or before.for_tagging
        rate = tagger.sample_rate
        if for_tagging:
            encoder, digest = span_encoder(tagger)
            hop = encoder.model.hop_samples / rate
        else:
            window = window or min(SPAN_SECONDS, tagger.max_seconds)
            hop = hop or window
            tagger.check_window(window, hop)
            encoder, digest = span_encoder(tagger, window)
        step = encoder.model.hop_samples
        settings = Settings(
            archive=archive,
            model=model or os.path.abspath(tagger.model.path),
            digest=digest,
            window=encoder.model.span_samples / rate,
            hop=max(round(hop * rate), step) // step * step / rate,
            for_tagging=for_tagging,
        )
        names = [os.path.relpath(audio, archive) for audio in paths]
        files = {
            name: known[name]
            for name, audio in zip(names, paths, strict=False)
            if name in known
            and known[name].damage is None
            and is_unchanged(audio, known[name].identity)
        }
        n_unchanged = len(files)
        if before is not None and before != settings:
            is_moved = n_unchanged > 0 and n_unchanged >= MOVED_SHARE * len(
                known
            )
            if not is_moved or settings != dataclasses.replace(
                before, archive=archive
            ):
                tagging = ", --for-tagging" * before.for_tagging
                raise InputError(
                    f"{path} is the index of {before.archive}, made with the model "
                    f"{before.model}{tagging}, --window {before.window:g} and "
                    f"--hop {before.hop:g}: give another --output."
                )
            logger.info(
                "the archive was %s, and is %s now", before.archive, archive
            )
        missing = [name for name in names if name not in files]

        def read(name: str) -> IndexedFile:
            """The spans of a file."""
            audio = os.path.join(archive, name)
            identity = file_identity(audio)
            reading = Reading(audio)
            seconds, times, rows = cut_file(encoder, settings.hop, reading)
            if not for_tagging:
                is_heard = rows.any(1)
                times, rows = times[is_heard], rows[is_heard]
            return IndexedFile(identity, seconds, reading.damage, times, rows)

        errors = [one_line(error) for error in failed]
        saved = time.monotonic()
        try:
            for name, found, reason in in_order(
                read, missing, num_workers, progress
            ):
                if found is None:
                    errors.append(str(reason))
                    continue
                files[name] = found
                if time.monotonic() - saved > SAVE_SECONDS:
                    SoundIndex(settings, files).save(path)
                    saved = time.monotonic()
        finally:
            SoundIndex(settings, files).save(path)
        return Update(
            added=len(files) - n_unchanged,
            unchanged=n_unchanged,
            dropped=len(known) - n_unchanged,
            damaged=sum(file.damage is not None for file in files.values()),
            errors=errors,
            n_spans=sum(len(file.rows) for file in files.values()),
        )


def is_below(name: str) -> bool:
    """Whether a name, which may be a stranger's, is of a file below a folder."""
    path = PureWindowsPath(name)  # whose separators are those of all systems
    return not path.is_absolute() and not path.anchor and ".." not in path.parts


def span_encoder(
    tagger: AudioTagger, window: float | None = None
) -> tuple[AudioTagger, str]:
    """A model of features of spans, and the checksum of what computes them.

    The checksum is that of the model, which has no classes, rules or note. With a
    window, in seconds, features are mean tokens; without, they are all that a
    learnt model classifies, of its own spans.

    Raises
    ------
    InputError
        If there is no window, and ``fftp-tag learn`` has not written the model.
    """
    source, info, size = tagger.model.path, tagger.model.info, None
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "spans.onnx")
        if window is not None:
            size = token_size(tagger.model)
            source, info = (
                path,
                make_span_model(tagger.model, path, window).info,
            )
        elif info.frame_level is None or not info.frame_level.of_clips:
            raise InputError(
                f"{source} is no model of fftp-tag learn: only the features that "
                "such a model classifies are stored for tagging."
            )
        info = dataclasses.replace(
            info, labels=[], single_label=False, rules=None, note=None
        )

        def change(graph: "onnx.GraphProto") -> None:
            """Adds the features, and removes classes."""
            add_heard(graph, size)
            remove_outputs(graph, {"probabilities", "frame_probabilities"})

        copy_model(source, path, info, change)
        model = Model(path, threads=1)
        return AudioTagger(model), model.digest


def add_heard(graph: "onnx.GraphProto", size: int | None = None) -> None:
    """Adds an output: the features of spans, the first ``size``, 0 of silent ones."""
    build = GraphBuilder(graph, HEARD)
    features = OUTPUT if size is None else build.Slice(OUTPUT, 0, size, 2)
    build.Where(IS_HEARD, features, np.float32(0), name=HEARD)
    add_output(graph, HEARD, "batch", "spans", "features")


def cut_file(
    encoder: AudioTagger,
    hop: float,
    source: Source,
    sample_rate: int | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The spans of a source, its last one included.

    Returns its length in seconds, their start and end in seconds ``[N, 2]``, and
    their features ``[N, F]`` in float16, 0 of silent ones.
    """
    rate, span = encoder.sample_rate, encoder.model.span_samples
    found = [*encoder.frame_level_predictions([HEARD], source, sample_rate)]
    centres = np.concatenate([x.times for x in found])
    rows = np.concatenate([x.rows for x in found])
    starts = np.round(centres * rate - span / 2).astype(int)
    kept = starts % round(hop * rate) == 0
    kept[-1] = True
    ends = np.minimum(starts + span, found[-1].end)
    times = np.stack([starts, ends], 1) / rate
    return found[-1].end / rate, times[kept], rows[kept].astype(np.float16)


def measure_spread(
    sample: np.ndarray, shrinkage: float = 0.7
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates how features are distributed from a sample ``[N, F]``.

    Returns their mean ``[F]``; their scale ``[F]``, 1 / standard deviation; and
    the inverse covariance ``[F, F]`` of standardised features, shrunk towards their
    variances. Of few or equal spans: 0, 1 and the identity matrix.
    """
    mean, std = sample.mean(0), sample.std(0)
    if len(sample) < MIN_SPANS or not (std > TINY).any():
        return np.zeros_like(mean), np.ones_like(mean), np.eye(len(mean))
    scale = np.where(std > TINY, 1 / np.maximum(std, TINY), 0)
    scale = scale.astype(np.float32)
    sample = (sample - mean) * scale
    covariance = (1 - shrinkage) * (sample.T @ sample) / len(sample)
    covariance += shrinkage * np.eye(len(scale), dtype=np.float32)
    return mean, scale, np.linalg.inv(covariance)


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scales vectors ``[..., F]`` to unit length."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths.clip(min=TINY)
