"""Fixtures that many tests share, and what tests set that users do not.

* The processes of the tests have one thread of PyTorch each, since there is a
  process per core, and tensors are small. It is no variable of the environment:
  the commands that tests start have as many as those of users.
* Most runs of recipes are forked from a process that has imported PyTorch and
  SpeechBrain (tests/kit/recipe_runs.py), which saves ten seconds each; those of
  test_users_shell.py are not. They are tiny, and most write no model.onnx.
* Commands run in temporary folders, and some with caches of their own
  (XDG_CACHE_HOME, HOME), so that no test uses what another one left.
* CI_REQUIRE_BROWSER=1, of .ci/run, makes a missing browser an error.
* Triton's kernels are interpreted on CPUs (TRITON_INTERPRET), benchmarks are not
  compiled (TORCHDYNAMO_DISABLE): neither changes a result.
* Ctrl-C reaches the tests' commands, also in the background of a shell, which
  ignores it.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import signal
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import speechbrain_fftp  # noqa: F401  before onnxruntime, see there

# Ignored in the background of a shell, and so by the processes of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

RECIPE = """
sample_rate: 16000
max_frames: 128
embed_dim: 24
labels: [Speech, "Bark, dog", Siren, Music, Rain]

compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
    sample_rate: !ref <sample_rate>
    n_mels: 40
mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
    mean: -5.0
    std: 4.0
embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding
    n_mels: 40
    embed_dim: !ref <embed_dim>
    patch_frames: 10
    stride_frames: 5
embedding_model: !new:speechbrain_fftp.lobes.models.AST.AST
    n_mels: 40
    embed_dim: !ref <embed_dim>
    depth: 2
    num_heads: 2
    embedding: !ref <embedding>
    max_frames: !ref <max_frames>
    dropout: 0.3
classifier: !new:torch.nn.Sequential
    - !new:torch.nn.LayerNorm [!ref <embed_dim>]
    - !new:torch.nn.Linear [!ref <embed_dim>, 5]
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
"""


def hide_redirects():
    """Hypothesis asks each module for its file: redirects of SpeechBrain would
    import what they redirect to, such as k2.
    """
    for module in list(sys.modules.values()):
        if type(module).__name__ == "DeprecatedModuleRedirect":
            module.__file__ = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    hide_redirects()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call():
    hide_redirects()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """See above; a fixture, as the process that hands out tests has no PyTorch."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(
    params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)],
)
def device(request, monkeypatch):
    """The device to test on: each in turn, the second with -m gpu."""
    import torch

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    # Convolutions with products of 10 bits would not equal those of a CPU
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return request.param


@pytest.fixture(scope="session")
def shared():
    """The folder of reference tensors and data: FFTP_TEST_DATA, or beside."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("FFTP_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip("FFTP_TEST_DATA names no folder of reference tensors")
    return folder


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A function that makes a file once for all processes of a run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def once(name, make):
        """The path of a file, which ``make`` writes to the path that it gets."""
        path = folder / "once" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                unfinished = path.with_name(f"unfinished-{path.name}")
                make(unfinished)
                unfinished.rename(path)
        return path

    return once


@pytest.fixture(scope="session")
def trained_on_tones(once):
    """The modules of a frame-level model, and its file."""
    pytest.importorskip("onnxscript")
    import torch
    from small_models import train_on_tones

    path = once("tones/model.onnx", train_on_tones)
    modules = torch.load(path.with_name("modules.pt"), weights_only=False)
    return modules, path


@pytest.fixture(scope="session")
def tones_file(trained_on_tones):
    """The file of the frame-level model."""
    return trained_on_tones[1]


@pytest.fixture(scope="session")
def onnx_file(exported):
    """The file of the tiny model. Tests must not change it."""
    return exported[1] / "model.onnx"


@pytest.fixture(scope="session")
def exported(once):
    """A tiny model with random weights, and its inference folder.

    Returns
    -------
    hparams : dict
        Its loaded yaml, with the modules.
    folder : pathlib.Path
        With its ``model.onnx``. Tests must not change it.
    """
    pytest.importorskip("onnxscript")
    import torch
    from hyperpyyaml import load_hyperpyyaml

    from speechbrain_fftp.onnx.export import export_onnx

    torch.manual_seed(0)
    hparams = load_hyperpyyaml(RECIPE)
    for module in hparams["modules"].values():
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        module.eval()

    def export(path):
        """Takes many seconds."""
        export_onnx(
            path,
            hparams["modules"],
            hparams["labels"],
            sample_rate=hparams["sample_rate"],
            max_frames=hparams["max_frames"],
        )

    return hparams, once("inference/model.onnx", export).parent
