"""SoundIndex: finds what sounds like an example in an archive.

An index is an npz file: its settings, the parts of files that are indexed, and
features of spans of these in float16, which ``learn`` classifies, too.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import json
import logging
import math
import os
import tempfile
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from fftp_tag.errors import counted, one_line
from fftp_tag.parallel import in_order
from fftp_tag.search.clips import (
    UPDATE,
    ClipSource,
    classifier_of,
    read_sources,
)
from fftp_tag.tag.edit import model_digest
from fftp_tag.tag.model import Model
from fftp_tag.tag.spans import make_span_model, token_size
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.tag.windows import Part, Source, read_blocks
from speechbrain_fftp.dataio.audio import (
    SILENCE,
    find_audio_files,
    read_duration,
)
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import (
    PathLike,
    atomic_path,
    check_target,
    file_identity,
    is_unchanged,
    named_damage,
)
from speechbrain_fftp.dataio.packages import require

logger = logging.getLogger(__name__)

WINDOW = 5.0  # seconds, by default
PART = 300.0  # seconds of a file that are indexed at a time
SAVE_SECONDS = 60.0  # from one time that an index is saved to the next
CHUNK = 128  # rows that are compared at a time: they fit into a cache
SAMPLE = 4096  # rows to estimate the distribution of features
SHRINKAGE = 0.7  # of the covariance of features towards their variances
OVERLAP = 0.25  # more of the shorter one is common to matches that overlap
# Times by which the spans of a learnt model may be longer or shorter
FACTOR = 4.0
TINY = 1e-6  # instead of a length or a standard deviation of 0
# Sign, exponent and mantissa of a float16 that is shifted to those of a float32
BITS = np.int32(-0x70002000)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an index was made; lengths are in samples of the model's rate."""

    archive: str  # the folder whose files are indexed
    model: str = dataclasses.field(compare=False)  # where it was loaded from
    digest: str  # checksum of what computes the features
    sample_rate: int
    span: int  # length of a window, of whole tokens
    hop: int  # from one window to the next
    # First features, of a window's surroundings: an example has others
    n_around: int

    @property
    def part_samples(self) -> int:
        """Length of the parts of a file, of whole hops."""
        n_hops = max(round(PART * self.sample_rate / self.hop), 1)
        return n_hops * self.hop


class IndexedPart(NamedTuple):
    """A part of a file of the archive."""

    path: str  # relative to the archive
    identity: str  # of the file when it was indexed
    number: int  # of the part
    n_parts: int  # of the file
    end: int = 0  # the sample after the part
    # First sample of each window that is not silent, [N], and features, [N, F]
    starts: np.ndarray = np.zeros(0, int)
    rows: np.ndarray = np.zeros((0, 0), np.float16)


class Spread(NamedTuple):
    """How features are distributed in an index."""

    mean: np.ndarray  # [F]
    scale: np.ndarray  # 1 / standard deviation, or 0, [F]
    precision: np.ndarray  # inverse covariance of standardised features, [F, F]
    lengths: np.ndarray  # of the standardised features of each window, [N]


@dataclasses.dataclass(frozen=True)
class FoundWindow:
    """A part of a file, in seconds."""

    file: str
    start: float
    end: float
    identity: str  # of the file when it was indexed

    def to_dict(self) -> dict:
        """The fields by name, but the identity."""
        values = dataclasses.asdict(self)
        del values["identity"]
        return values


@dataclasses.dataclass(frozen=True)
class Match(FoundWindow):
    """A part of a file, and how similar it is to an example.

    Example
    -------
    >>> Match("a.wav", 5.0, 10.0, "0f1e", similarity=0.75).to_dict()
    {'file': 'a.wav', 'start': 5.0, 'end': 10.0, 'similarity': 0.75}
    """

    similarity: float


@dataclasses.dataclass(frozen=True)
class ClassMatch(FoundWindow):
    """A part of a file, and the probability of a learnt class."""

    label: str
    probability: float


class Update(NamedTuple):
    """Result of ``update_index``, mostly numbers of files."""

    added: int  # new or changed files that were read
    unchanged: int  # files that were in the index already
    dropped: int  # files in the index that have changed or vanished
    errors: List[str]  # reasons why files and folders cannot be read
    n_windows: int  # in the index


@dataclasses.dataclass(frozen=True, eq=False)
class SoundIndex:
    """Features of the windows of all files of a folder.

    Arguments
    ---------
    settings : Settings
    parts : list of IndexedPart
    rows : numpy.ndarray
        The features of all windows, ``[N, F]``, in float16.
    spread : Spread
    """

    settings: Settings
    parts: List[IndexedPart]
    rows: np.ndarray
    spread: Spread

    @classmethod
    def make(cls, settings: Settings, parts: List[IndexedPart]) -> "SoundIndex":
        """Makes an index of parts of files, and sorts them."""
        parts = sorted(parts, key=lambda part: (part.path, part.number))
        rows = np.zeros((0, 0), np.float16)
        if parts:
            rows = np.concatenate([part.rows for part in parts])
        spread = measure_spread(rows, settings.n_around)
        return cls(settings, parts, rows, spread)

    @classmethod
    def load(cls, path: PathLike) -> "SoundIndex":
        """Reads a file that ``update_index`` has written.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        InputError
            If it is damaged.
        """
        if not os.path.isfile(path):
            raise FileNotFoundError(f"{path}: there is no such file.")
        remedy = "index again into another file"
        with named_damage(path, remedy), np.load(path) as file:
            settings = Settings(**json.loads(str(file["settings"])))
            about = json.loads(str(file["parts"]))
            counts, starts, rows = map(
                file.get, ("counts", "starts", "features")
            )
            spread = Spread(*(file[name] for name in Spread._fields))
            if rows.dtype != np.float16 or not (
                counts.sum() == len(starts) == len(rows) == len(spread.lengths)
            ):
                raise ValueError("its parts do not match")
            ends = np.cumsum(counts)[:-1]
            parts = [
                IndexedPart(*values, *windows)
                for values, *windows in zip(
                    about, np.split(starts, ends), np.split(rows, ends)
                )
            ]
        return cls(settings, parts, rows, spread)

    def save(self, path: PathLike) -> None:
        """Writes the index."""
        starts = [part.starts for part in self.parts]
        with atomic_path(path) as temporary, open(temporary, "wb") as output:
            np.savez(
                output,
                settings=json.dumps(dataclasses.asdict(self.settings)),
                parts=json.dumps([part[:-2] for part in self.parts]),
                counts=np.array([len(x) for x in starts], int),
                starts=np.concatenate([np.zeros(0, int), *starts]),
                features=self.rows,
                **self.spread._asdict(),
            )

    def load_encoder(self, tagger: AudioTagger) -> AudioTagger:
        """The model of the index, which is that of ``tagger`` or learnt on it.

        Raises
        ------
        InputError
            If it is another model.
        """
        settings = self.settings
        encoder, digest = span_encoder(
            tagger, settings.span / settings.sample_rate
        )
        if digest != settings.digest:
            raise InputError(
                f"{tagger.model.path} is not the model of the index "
                f"({settings.model}), nor learnt on it: use that model, or "
                "make a new index in another file."
            )
        return encoder

    def embed(
        self,
        encoder: AudioTagger,
        source: Source,
        sample_rate: Optional[int] = None,
    ) -> np.ndarray:
        """The features ``[F]`` of an example, the mean over its windows.

        ``encoder`` is that of ``load_encoder``; for ``source`` see
        ``AudioTagger``.

        Raises
        ------
        InputError
            If the example cannot be read, or is silent.
        """
        step = encoder.model.hop_samples
        _, rows, _ = index_windows(encoder, step, source, sample_rate)
        if not len(rows):
            name = source if isinstance(source, Part) else "The example"
            raise InputError(f"{name} is silent: give another one.")
        return rows.astype(np.float32).mean(0)

    def find(
        self,
        examples: np.ndarray,
        top_k: int = 20,
        known: Sequence[ClipSource] = (),
    ) -> List[Match]:
        """Finds the windows that are most similar to the examples.

        Similarity is the cosine of the angle between the features of a match,
        standardised over the index and without those of its surroundings, and a
        direction: the mean of those of the examples, divided by their shrunk
        covariance over the index. It is relative to that of the mean itself. Of
        matches that overlap, only the most similar one is returned.

        Arguments
        ---------
        examples : numpy.ndarray
            The features ``[F]`` of ``embed``, or of several, ``[E, F]``.
        top_k : int
            Maximum number of matches.
        known : list of ClipSource
            Matches that overlap these are left out, and counted in a message.

        Returns
        -------
        list of Match
            The most similar match first.

        Raises
        ------
        InputError
            If the index is empty.
        """
        self.check_rows()
        spread = self.spread
        examples = np.atleast_2d(np.asarray(examples, np.float32))
        examples = unit_length((examples - spread.mean) * spread.scale)
        mean = unit_length(examples.mean(0))
        direction = spread.precision @ mean
        weight = direction / (direction @ mean) * spread.scale
        scores = self.multiply(weight[:, None])[:, 0] - weight @ spread.mean
        scores /= spread.lengths
        return [
            Match(**vars(window), similarity=float(scores[row]))
            for row, window in self.best(scores, top_k, known)
        ]

    def find_classes(
        self, model: Model, top_k: int = 20, known: Sequence[ClipSource] = ()
    ) -> List[ClassMatch]:
        """Finds the most probable windows of each class of a learnt model.

        Matches that overlap a clip that it was learnt from are left out.

        Arguments
        ---------
        model : Model
            A model of ``learn``, see also ``load_encoder``.
        top_k : int
            Maximum number of matches of a class.
        known : list of ClipSource
            Matches that overlap these are left out, too.

        Raises
        ------
        InputError
            If the index is empty, or the model is not learnt or classifies
            spans of quite another length.
        """
        self.check_rows()
        weight, bias, sources = read_classifier(model)
        span, rate = self.settings.span, self.settings.sample_rate
        learnt = model.span_samples
        if not learnt / FACTOR <= span <= learnt * FACTOR:
            raise InputError(
                f"{model.path} classifies {learnt / rate:g} s, but the windows "
                f"of the index have {span / rate:g} s: index again with "
                f"--window {learnt / rate:g} and another --output."
            )
        logits = self.multiply(weight) + bias
        found = []
        for number, label in enumerate(model.labels):
            scores = logits[:, number]
            if model.info.single_label:  # log-odds, as of other models
                others = np.delete(logits, number, axis=1)
                scores = scores - np.logaddexp.reduce(others, axis=1)
            for row, window in self.best(scores, top_k, [*sources, *known]):
                probability = 1 / (1 + math.exp(min(-scores[row], 700)))
                found.append(
                    ClassMatch(
                        **vars(window), label=label, probability=probability
                    )
                )
        return found

    def check_rows(self) -> None:
        """Raises an InputError if the index is empty."""
        if not len(self.rows):
            raise InputError(
                "The index is empty: none of the files in "
                f"{self.settings.archive} could be read, or all are silent."
            )

    def multiply(self, weight: np.ndarray) -> np.ndarray:
        """The product of the features of all windows and ``[F, K]``."""
        weight = weight.astype(np.float32)
        return np.concatenate(
            [as_float32(chunk) @ weight for chunk in in_chunks(self.rows)]
        )

    def best(
        self, scores: np.ndarray, top_k: int, known: Sequence[ClipSource]
    ) -> List[Tuple[int, FoundWindow]]:
        """Finds the rows with the highest scores ``[N]``, and their windows.

        They do not overlap each other, nor what is known, and their files are
        unchanged.
        """
        settings, rate = self.settings, self.settings.sample_rate
        first_rows = np.cumsum([0, *(len(part.rows) for part in self.parts)])
        known_in: Dict[str, List[Tuple[float, float]]] = {}
        for source in known:
            times = source.start, source.end
            known_in.setdefault(source.file, []).append(times)
        taken: Dict[str, List[Tuple[float, float]]] = {}
        changed: Dict[str, int] = {}  # windows by file
        found: List[Tuple[int, FoundWindow]] = []
        n_known = 0
        for row in np.argsort(-scores, kind="stable").tolist():
            if len(found) == top_k:
                break
            number = np.searchsorted(first_rows, row, side="right") - 1
            part = self.parts[number]
            start = int(part.starts[row - first_rows[number]])
            end = min(start + settings.span, part.end)
            times = start / rate, end / rate
            path = os.path.join(settings.archive, part.path)
            if path not in taken:
                taken[path] = []
                if not is_unchanged(path, part.identity):
                    changed[path] = 0
            if path in changed:
                changed[path] += 1
                continue
            if any(overlap(times, other) for other in taken[path]):
                continue
            if any(overlap(times, x) for x in known_in.get(part.identity, [])):
                n_known += 1
                continue
            taken[path].append(times)
            found.append((row, FoundWindow(path, *times, part.identity)))
        if changed:
            logger.warning(
                "%s left out, of %s changed or gone, such as %s: %s",
                counted(sum(changed.values()), "window"),
                counted(len(changed), "file"),
                next(iter(changed)),
                UPDATE,
            )
        if n_known:
            logger.info(
                "%s left out: you have clips of them",
                counted(n_known, "window"),
            )
        return found


def update_index(
    path: PathLike,
    tagger: AudioTagger,
    archive: PathLike,
    window: Optional[float] = None,
    hop: Optional[float] = None,
    model: Optional[str] = None,
    num_workers: int = 4,
    progress: bool = False,
) -> Update:
    """Makes an index of the audio files below a folder, or updates it.

    Files in the index whose size and time are unchanged are not read again. The
    index is saved once a minute, and when it is interrupted: call this again to
    continue.

    Arguments
    ---------
    path : str
        The index.
    tagger : AudioTagger
    archive : str
        The folder of audio files.
    window, hop : float, optional
        Length of a window in seconds, by default 5 or the model's maximum clip
        length, and step from one to the next, by default the window length.
        Windows have whole tokens, and begin at one of eight steps.
    model : str, optional
        Where ``fftp-tag find`` loads the model from, by default its file.
    num_workers, progress : int, bool
        Number of threads that read and encode, and whether to show progress.

    Raises
    ------
    FileNotFoundError
        If the archive has no audio files; its disk may not be mounted.
    InputError
        If the index has another archive, model, window or hop, or the window or
        the hop is out of range.
    """
    check_target(path)
    archive = os.path.abspath(archive)
    paths, failed = find_audio_files(archive)
    known: Dict[str, List[IndexedPart]] = {}
    before: Optional[Settings] = None
    if os.path.exists(path):
        index = SoundIndex.load(path)
        before = index.settings
        window = window or before.span / before.sample_rate
        hop = hop or before.hop / before.sample_rate
        for part in index.parts:
            known.setdefault(part.path, []).append(part)
    else:
        window = window or min(WINDOW, tagger.max_seconds)
        hop = hop or window
        tagger.check_window(window, hop)
    settings, encoder = make_settings(tagger, archive, window, hop, model)
    if before is not None and before != settings:
        raise InputError(
            f"{path} is the index of {before.archive}, made with the model "
            f"{before.model}, --window {before.span / before.sample_rate:g} "
            f"and --hop {before.hop / before.sample_rate:g}: give another "
            "--output."
        )
    errors = [one_line(error) for error in failed]
    parts: List[IndexedPart] = []
    unfinished: List[Tuple[str, str, List[IndexedPart]]] = []
    n_kept = n_unchanged = 0
    for audio in paths:
        try:
            identity = file_identity(audio)
        except OSError as error:
            errors.append(one_line(error))
            continue
        name = os.path.relpath(audio, archive)
        kept = [x for x in known.get(name, []) if x.identity == identity]
        parts += kept
        n_kept += len(kept) > 0
        if kept and len(kept) == kept[0].n_parts:
            n_unchanged += 1
        else:
            unfinished.append((name, identity, kept))

    def missing_parts() -> Iterator[IndexedPart]:
        """The parts that are to be indexed, without windows."""
        for name, identity, kept in unfinished:
            audio = os.path.join(archive, name)
            try:
                n_samples = int(read_duration(audio) * settings.sample_rate)
            except (InputError, OSError) as error:
                errors.append(f"{audio}: {one_line(error)}")
                continue
            # Each part has at least one window
            n_more = max(n_samples - settings.span, 0)
            n_parts = n_more // settings.part_samples + 1
            for number in set(range(n_parts)) - {x.number for x in kept}:
                yield IndexedPart(name, identity, number, n_parts)

    read = functools.partial(index_part, settings, encoder)
    added = set()
    found = in_order(read, missing_parts(), num_workers, progress, "parts")
    saved = time.monotonic()
    try:
        for _, indexed, reason in found:
            if indexed is None:
                errors.append(str(reason))
                continue
            parts.append(indexed)
            added.add(indexed.path)
            if time.monotonic() - saved > SAVE_SECONDS:
                SoundIndex.make(settings, parts).save(path)
                saved = time.monotonic()
    finally:
        index = SoundIndex.make(settings, parts)
        index.save(path)
    return Update(
        added=len(added),
        unchanged=n_unchanged,
        dropped=len(known) - n_kept,
        errors=errors,
        n_windows=len(index.rows),
    )


def make_settings(
    tagger: AudioTagger,
    archive: str,
    window: float,
    hop: float,
    model: Optional[str],
) -> Tuple[Settings, AudioTagger]:
    """The settings of an index, and the model of its features."""
    encoder, digest = span_encoder(tagger, window)
    step = encoder.model.hop_samples
    settings = Settings(
        archive=archive,
        model=model or os.path.abspath(tagger.model.path),
        digest=digest,
        sample_rate=tagger.sample_rate,
        span=encoder.model.span_samples,
        hop=max(round(hop * tagger.sample_rate), step) // step * step,
        n_around=token_size(tagger.model),
    )
    return settings, encoder


def index_part(
    settings: Settings, encoder: AudioTagger, part: IndexedPart
) -> IndexedPart:
    """Adds the windows of a part of a file; the last one ends with the file."""
    size, rate = settings.part_samples, settings.sample_rate
    first, is_last = part.number * size, part.number == part.n_parts - 1
    end = math.inf if is_last else (first + size + settings.span) / rate
    source = Part(os.path.join(settings.archive, part.path), first / rate, end)
    starts, rows, n_samples = index_windows(encoder, settings.hop, source)
    if not is_last:
        inside = (starts < size) & (starts % settings.hop == 0)
        starts, rows = starts[inside], rows[inside]
    return part._replace(
        end=first + n_samples, starts=first + starts, rows=rows
    )


def span_encoder(tagger: AudioTagger, window: float) -> Tuple[AudioTagger, str]:
    """A model of features of windows, and the checksum of what computes them.

    The checksum is that of the model, which has no classes, rules or note.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "spans.onnx")
        encoder = make_span_model(tagger.model, path, window)
        return AudioTagger(encoder), model_digest(path)


def index_windows(
    encoder: AudioTagger,
    hop: int,
    source: Source,
    sample_rate: Optional[int] = None,
) -> Tuple[np.ndarray, np.ndarray, int]:
    """The windows of a source that are not silent, its last one included.

    Returns their first samples ``[N]``, their features ``[N, F]`` in float16,
    and the length of the source. All lengths are in samples.
    """
    model = encoder.model
    rate, span = model.sample_rate, model.span_samples
    wav = np.concatenate([*read_blocks(source, rate, sample_rate)])
    times, rows = encoder.span_features(wav, rate)
    starts = np.round(times * rate - span / 2).astype(int)
    kept = starts % hop == 0
    kept[-1] = True
    peaks = [np.abs(wav[start : start + span]).max() for start in starts]
    kept &= np.array(peaks) >= SILENCE
    return starts[kept], rows[kept].astype(np.float16), len(wav)


def measure_spread(rows: np.ndarray, n_around: int) -> Spread:
    """Estimates how features ``[N, F]`` are distributed.

    The first ones, of surroundings, get a scale of 0, so that they do not
    count.
    """
    if not len(rows):
        empty = np.zeros(0, np.float32)
        return Spread(empty, empty, np.zeros((0, 0), np.float32), empty)
    sample = rows[:: math.ceil(len(rows) / SAMPLE)].astype(np.float32)
    mean, std = sample.mean(0), sample.std(0)
    scale = np.where(std > TINY, 1 / np.maximum(std, TINY), 0)
    scale = scale.astype(np.float32)
    scale[:n_around] = 0
    sample = (sample - mean) * scale
    covariance = (1 - SHRINKAGE) * (sample.T @ sample) / len(sample)
    covariance += SHRINKAGE * np.eye(len(scale), dtype=np.float32)
    lengths = [
        np.linalg.norm((as_float32(chunk) - mean) * scale, axis=1)
        for chunk in in_chunks(rows)
    ]
    return Spread(
        mean=mean,
        scale=scale,
        precision=np.linalg.inv(covariance),
        lengths=np.maximum(np.concatenate(lengths), TINY),
    )


def in_chunks(rows: np.ndarray) -> List[np.ndarray]:
    """Parts of features ``[N, F]`` that fit into a processor's cache."""
    return np.array_split(rows, len(rows) // CHUNK + 1)


def as_float32(rows: np.ndarray) -> np.ndarray:
    """Converts finite numbers in float16, several times as fast as NumPy.

    Moves their bits, and scales by the difference of the exponents' offsets.
    """
    bits = rows.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= BITS
    numbers = bits.view(np.float32)
    numbers *= np.float32(2**112)
    return numbers


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scales vectors ``[..., F]`` to unit length."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths.clip(min=TINY)


def overlap(first: Tuple[float, float], second: Tuple[float, float]) -> bool:
    """Whether two parts of a file, start and end, overlap."""
    shorter = min(first[1] - first[0], second[1] - second[0])
    common = min(first[1], second[1]) - max(first[0], second[0])
    return common > OVERLAP * shorter


def read_classifier(
    model: Model,
) -> Tuple[np.ndarray, np.ndarray, List[ClipSource]]:
    """Weights ``[F, C]`` and biases ``[C]`` of a learnt model, and the sources
    of the clips that it was learnt from.
    """
    onnx = require("onnx", "A learnt model")
    graph = onnx.load(model.path, load_external_data=False).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    try:
        product = classifier_of(graph)
        added = next(x for x in graph.node if product.output[0] in x.input)
        weight, bias = (
            onnx.numpy_helper.to_array(tensors[node.input[1]])
            for node in (product, added)
        )
        sources = read_sources(graph)
    except (InputError, KeyError, StopIteration):
        raise InputError(
            f"{model.path} is not a model that fftp-tag learn has written: give "
            "one, or an EXAMPLE."
        ) from None
    return weight, bias, sources
