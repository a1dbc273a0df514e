"""Tests that what the Markdown files show exists and runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import shutil

import numpy as np
import pytest
import readme_checks
import soundfile as sf
import torch
from readme_checks import ROOT
from safetensors.torch import save_file

from speechbrain_fftp.cli import main as cli
from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.ast import (
    CONFIG_FIXED,
    CONFIG_SIZES,
    HUGGING_FACE,
)
from speechbrain_fftp.pretrained.aum import FO_BI as AUM_FO_BI

DOCUMENTS = [
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "recipes/**/README.md")
    for path in sorted(ROOT.glob(pattern))
]
TEXTS = {path: (ROOT / path).read_text("utf-8") for path in DOCUMENTS}
PYTHON = [
    pytest.param(code, id=f"{path}-{number}")
    for path, text in TEXTS.items()
    for number, (language, code) in enumerate(readme_checks.blocks(text))
    if language == "python"
]


def published(table, encoder, classifier):
    """The tensors of a model of one block, under their published names."""
    state = encoder.state_dict()
    for name, tensor in classifier.state_dict().items():
        state[f"classifier.{name}"] = tensor
    count, width = len(table["tokens"]), encoder.position.table.shape[-1]
    patches = encoder.position.table.numel() // width
    state["tokens"] = torch.zeros(count, 1, width)
    state["positions"] = torch.zeros(1, count + patches, width)
    tensors = {}
    for new, old in table.items():
        for kind in ("weight", "bias") if "*" in new else ("",):
            fill = {"#": "0", "*": kind}
            new_name, *names = (
                re.sub(r"[#*]", lambda m: fill[m[0]], n) for n in [new, *old]
            )
            parts = state[new_name].chunk(len(names))
            tensors.update(zip(names, (part.clone() for part in parts)))
    return tensors


def save_aum(path):
    """Writes what stands for the authors' file of an Audio Mamba."""
    embedding = SquarePatchEmbedding(128, 48, 16, 16)
    encoder = AuM(embed_dim=48, depth=1, embedding=embedding, max_frames=1024)
    state = published(AUM_FO_BI, encoder, torch.nn.Linear(48, 5))
    torch.save(state, path)


def save_ast(folder):
    """Writes what stands for a Hugging Face folder of an AST."""
    sizes = {"embed_dim": 64, "depth": 1, "num_heads": 1, "max_frames": 128}
    embedding = SquarePatchEmbedding(128, 64, 16, 10)
    encoder = AST(embedding=embedding, **sizes)
    classifier = torch.nn.Sequential(
        torch.nn.LayerNorm(64), torch.nn.Linear(64, 5)
    )
    sizes.update(mlp_dim=256, n_mels=128, patch_size=16, stride=10)
    config = {CONFIG_SIZES[name]: value for name, value in sizes.items()}
    config.update({key: values[0] for key, values in CONFIG_FIXED.items()})
    config.update(frequency_stride=10, layer_norm_eps=1e-12)
    front_end = {"num_mel_bins": 128, "max_length": 128, "mean": -4.2}
    front_end.update(std=4.5, sampling_rate=16000)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(front_end), "utf-8")
    tensors = published(HUGGING_FACE, encoder, classifier)
    save_file(tensors, folder / "model.safetensors")


@pytest.fixture
def placeholders(exported, onnx_file, tmp_path, monkeypatch):
    """A current folder with what the examples take to be there."""
    monkeypatch.chdir(tmp_path)
    for run in ("demo", "my_sounds"):
        shutil.copytree(exported[1], f"results/{run}/inference")
    shutil.copy(onnx_file, "model.onnx")
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    for name in ("clip.wav", "other.mp3"):
        sf.write(name, noise, 16000)
    labels = exported[0]["labels"][::2]
    prepared = tmp_path / "results" / "demo" / "prepared"
    prepared.mkdir()
    write_json(prepared / "prepared.json", {"settings": {}})
    rows = ((i, f"/m/{i}", label) for i, label in enumerate(labels))
    write_csv(prepared / "classes.csv", ("index", "mid", "display_name"), rows)
    rows = ((label, tmp_path / "clip.wav", label) for label in labels)
    rows, header = list(rows), ("ID", "wav", "labels")
    for split in ("train", "valid", "eval"):
        write_csv(prepared / f"{split}.csv", header, rows)
    save_aum(tmp_path / "aum-base_audioset.pth")
    save_ast(tmp_path / "path" / "to" / "hf_folder")
    # Folders of these names, so that nothing is downloaded
    save_ast(tmp_path / "MIT" / "ast-finetuned-audioset-10-10-0.4593")
    save_ast(tmp_path / "mispeech" / "ced-tiny")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_names_and_commands(document):
    assert not readme_checks.problems(document, TEXTS[document])


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs_and_has_the_shapes_it_says(code, placeholders):
    namespace = {"__name__": "__main__"}
    exec(compile(code, "README", "exec"), namespace)
    said = re.findall(r"(?m)^(\w+) = .*# \[([\d, ]+)\]$", code)
    for name, shape in said:
        assert list(namespace[name].shape) == json.loads(f"[{shape}]"), name


def test_the_command_runs_as_shown(placeholders, capsys):
    shown = [
        words[1:]
        for document in ("README.md", "docs/tagging.md", "docs/training.md")
        for language, code in readme_checks.blocks(TEXTS[document])
        if language in ("", "bash")
        for words in readme_checks.commands(code)
        if words and words[0].endswith("fftp-tag")
    ]
    # What needs a microphone or a pipe is tested in tests/unit/cli
    shown = [words for words in shown if words[0] != "listen"]
    assert shown
    os.remove("model.onnx")
    for arguments in shown:
        assert cli.main(arguments) == 0
        printed = capsys.readouterr().out
        said = {"export": "wrote", "evaluate": "mAP", "calibrate": "F1"}
        said["import"] = "wrote"
        assert said.get(arguments[0], "clip.wav") in printed
    assert os.path.exists("model.onnx")
    assert os.path.exists("hf_model/config.json")


def test_speed_table_repeats_rows_of_the_measured_one():
    section = re.search(r"(?ms)^## Speed\n(.*?)^## ", TEXTS["README.md"])[1]
    rows = re.findall(r"(?m)^\|.*\|$", section)
    measured = TEXTS["docs/performance.md"].splitlines()
    assert 3 <= len(rows) <= 12 and set(rows) <= set(measured)


RUN = "python recipes/AudioSet/train.py hparams/ast_fftp.yaml"
RIGHT = f"""# A heading: with `code`

[a](#a-heading-with-code) [b](https://a.org/b) ![c](docs/specmask.png)
`nnet.patching.FFTPEmbedding(128)` `hparams/ast_fftp.yaml` `--depth N`
`--bidirectional False` `--top-k` `--test_only` `make docs CLIP=FILE`

```
OMP_NUM_THREADS=1 {RUN} --data_folder DIR --embed_dim=192 \\
    --precision bf16 && make test  # both
python benchmarks/audioset_mini.py DIR --seeds 1 --lr 0.1
cd elsewhere
./anything
```
"""


def test_nothing_is_found_where_nothing_is_wrong():
    heading = "(CHANGELOG.md#010-unreleased)"
    text = RIGHT.replace("(#a-heading-with-code)", heading)
    assert not readme_checks.problems("README.md", text)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("[a](docs/none.png)", "docs/none.png is no file of the project"),
        ("![a](results/x.png)", "results/x.png is no file of the project"),
        ("[a](CHANGELOG.md#none)", "CHANGELOG.md#none names no heading"),
        ("[a](#none)", "#none names no heading"),
        ("[a](../a.md)", "../a.md lies outside the project"),
        ("[a](http:/a.org)", "http:/a.org is no address"),
        ("`docs/none.py`", "docs/none.py is missing"),
        ("`nnet.patching.None`", "no attribute 'None'"),
        ("`speechbrain_fftp.nnet.none`", "none"),
        ("`--dept 3 --top-k`", "--dept: --dept is no key"),
        ("`python none.py`", "none.py is missing"),
        (f"`{RUN.replace('ast_', 'a_')}`", "hparams/a_fftp.yaml is missing"),
        (f"`{RUN} --deep 3`", "--deep is no key of hparams/ast_fftp.yaml"),
        (f"`{RUN} --depth`", "--depth has no value"),
        (f"`{RUN} 3`", "3 stands alone"),
        (f"`{RUN} --precision bf17`", "invalid choice: 'bf17'"),
        ("`python benchmarks/audioset_mini.py D --nix 1`", "--nix is no key"),
        ("`python benchmarks/selective_scan.py --nix`", "has no --nix"),
        ("`python -m speechbrain_fftp.none`", "no module"),
        ("`make nothing`", "the Makefile has no nothing"),
        ("`make docs CLAP=FILE`", "the Makefile has no CLAP"),
        ("`torchrun a.py`", "a.py is missing"),
        (
            f"`torchrun --processes 2 {RUN[7:]}`",
            "unrecognized arguments: --processes",
        ),
        (f"`torchrun {RUN[7:]} --deep 3`", "--deep is no key"),
        ("```\nfftp-tag a.wav --topk 3\n```", "main.py has no --topk"),
        ("```\nmayke a\n```", "mayke is no command known here"),
        ("```\nmake 'test\n```", "make 'test\n is no command known here"),
        ("```bash\npip install -r a.txt\n```", "a.txt is missing"),
        ("``` bash\nmake\n```", "a fence is indented or not closed"),
    ],
)
def test_problems_are_found(text, problem):
    found = readme_checks.problems("README.md", text)
    assert len(found) == 1 and problem in found[0]
