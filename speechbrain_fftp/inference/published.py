"""Loads published models as taggers: AST, CED and Audio Mamba.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.inference.config import MODULES
from speechbrain_fftp.inference.folder import check_label, load_folder
from speechbrain_fftp.lobes import features
from speechbrain_fftp.pretrained import ast, aum, ced, tensors

logger = get_logger(__name__)

OWN_FILES = ("labels.csv", "hyperparams.yaml")  # of an inference folder
PREPROCESSOR = "preprocessor_config.json"
# The pieces of its maximum length that a CED encodes as one clip: half a
# minute. Longer files are cut into parts of that length.
CED_CHUNKS = 3


def load_model(path):
    """Loads an inference folder or a published model from a path on disk.

    Returns the modules and hparams that ``load_folder`` does. A file that is
    missing, damaged, or no such model is named by a FileNotFoundError or a
    ValueError.
    """
    if path.is_file():
        return _load_original(path)
    config_file = path / "config.json"
    own = any((path / name).is_file() for name in OWN_FILES)
    if config_file.is_file() and not own:
        config = tensors.read_json_file(config_file)
        if "model_type" in config:
            return _load_hugging_face(path, config)
    return load_folder(path)


def _load_hugging_face(folder, config):
    """Modules and hparams of an AST or a CED in Hugging Face's form."""
    kind = str(config["model_type"])[:80]
    if kind not in HUGGING_FACE:
        raise ValueError(
            f"{folder / 'config.json'} is of a model of type {kind!r}, not of "
            f"{' or '.join(HUGGING_FACE)}."
        )
    load_encoder, front_end = HUGGING_FACE[kind]
    about = tensors.read_json_file(path := folder / PREPROCESSOR)
    encoder, classifier = load_encoder(folder)
    try:
        *modules, frames = front_end(about, encoder)
        path = folder / "config.json"
        labels = _read_names(config.get("id2label"), _num_classes(classifier))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    labels = labels or _numbered(folder, classifier)
    single = config.get("problem_type") == "single_label_classification"
    return _assemble([*modules, encoder, classifier], frames, labels, single)


def _ast_front_end(about, encoder):
    """Features as of ASTFeatureExtractor, and the maximum clip length."""
    n_mels, frames = about.get("num_mel_bins"), about.get("max_length")
    patches, length = encoder.embedding, encoder.max_frames
    length += patches.patch_bins - patches.patch_frames  # padded by the export
    if (n_mels, frames) != (encoder.n_mels, length):
        raise ValueError(
            f"num_mel_bins={n_mels} and max_length={frames} are not those of "
            f"the model, {encoder.n_mels} and {length}."
        )
    mean, std = 0.0, 0.5
    if about.get("do_normalize", True):
        mean, std = (about.get(name) for name in ("mean", "std"))
    _check_numbers({"mean": mean, "std": std}, -1e6, 1e6)
    if std <= 0:
        raise ValueError(f"std must be above 0, not {std}.")
    fbank = features.KaldiFbank(_sampling_rate(about), n_mels)
    norm = features.DatasetNormalization(mean, std)
    return fbank, norm, encoder.max_frames


def _ced_front_end(about, encoder):
    """Features as of CedFeatureExtractor, and the maximum clip length."""
    rate = _sampling_rate(about)
    sizes = {name: about.get(name) for name in ("n_fft", "hop_size")}
    _check_numbers(sizes, 16, 2**14)
    if about.get("win_size") != sizes["n_fft"]:
        raise ValueError("only win_size equal to n_fft is supported.")
    if about.get("feature_size") != encoder.n_mels:
        raise ValueError(
            f"feature_size={about.get('feature_size')} is not n_mels="
            f"{encoder.n_mels} of the model."
        )
    if about.get("center", True) is not True:
        raise ValueError("only frames with center=true are supported.")
    edges = {"f_min": about.get("f_min", 0)}
    edges["f_max"] = about.get("f_max") or rate / 2
    _check_numbers(edges, 0, rate / 2)
    sizes, edges = map(int, sizes.values()), map(float, edges.values())
    decibels = features.MelDecibels(rate, encoder.n_mels, *sizes, *edges)
    # (x - 0) / (2 * 0.5): the encoder normalizes by itself
    identity = features.DatasetNormalization(mean=0.0, std=0.5)
    return decibels, identity, CED_CHUNKS * encoder.max_frames


# By model_type: what loads the encoder, and its front end.
HUGGING_FACE = {
    "audio-spectrogram-transformer": (ast.load_ast, _ast_front_end),
    "ced": (ced.load_ced, _ced_front_end),
}


def _check_numbers(values, low, high):
    """Raises a ValueError unless all values, by name, are numbers in range."""
    for name, value in values.items():
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(
                f"{name} must be a number from {low:g} to {high:g}, not "
                f"{str(value)[:80]!r}."
            )


def _sampling_rate(about):
    """The sampling rate in Hz of a front end."""
    rate = about.get("sampling_rate")
    _check_numbers({"sampling_rate": rate}, 8000, 192000)
    return int(rate)


def _load_original(path):
    """Modules and hparams of the authors' AST or Audio Mamba."""
    state = tensors.read_tensors(path)
    loaders = {"load_ast": ast.load_ast, "load_aum": aum.load_aum}
    loader = loaders.get(tensors.find_loader(state))
    if loader is None:
        raise ValueError(
            f"{path} holds neither an AST nor an Audio Mamba in the format of "
            "its authors."
        )
    encoder, classifier = loader(path, state)
    labels = list(read_classes("").values())
    if len(labels) != _num_classes(classifier):
        labels = _numbered(path, classifier)
        logger.warning(
            "%s is not for AudioSet: the mean and standard deviation of "
            "AudioSet's features are used, and classes are independent. If "
            "that is wrong, import it and correct config.json.",
            path,
        )
    front_end = features.KaldiFbank(), features.DatasetNormalization()
    modules = [*front_end, encoder, classifier]
    return _assemble(modules, encoder.max_frames, labels)


def _assemble(modules, max_frames, labels, single_label=False):
    """The modules and hparams of a tagger."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    return dict(zip(MODULES, modules)), {
        "sample_rate": modules[0].sample_rate,
        "max_frames": max_frames,
        "single_label": single_label,
        "label_encoder": encoder,
    }


def _num_classes(classifier):
    """Number of classes of a linear layer, or of the last of several."""
    return [*classifier.modules()][-1].out_features


def _numbered(path, classifier):
    """Names of classes that are unknown, with a warning."""
    logger.warning(
        "%s does not name its classes: they are called class 0, class 1, ... "
        "Import it and write their names into labels.csv.",
        path,
    )
    return [f"class {n}" for n in range(_num_classes(classifier))]


def _read_names(names, n_classes):
    """Distinct names of the classes in an ``id2label``, None if it has none.

    Names of AudioSet's classes that end at the first comma are completed.
    """
    known = list(read_classes("").values())
    if names is None:
        return known if n_classes == len(known) else None
    numbers = {str(number) for number in range(n_classes)}
    if not isinstance(names, dict) or set(names) != numbers:
        raise ValueError(f"id2label must name {n_classes} classes by number.")
    names = [names[str(number)] for number in range(n_classes)]
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"id2label holds {str(name)[:80]!r}, not a name.")
        check_label(name)
    first, ours = ([x.split(",")[0] for x in own] for own in (names, known))
    if first == ours:
        return known
    while len(count := Counter(names)) < n_classes:  # "a", "a" and "a (1)"
        names = [
            f"{name} ({number})" if count[name] > 1 else name
            for number, name in enumerate(names)
        ]
    return names
