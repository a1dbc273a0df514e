"""What goes to SpeechBrain, and in which pull requests.

Each part of the series is small enough for a review and stands on those before
it. Its title and description, and the patch with which the export makes it
(see ``upstream``), are in ``tools/pull_requests``.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path

from speechbrain_fftp.upstream_names import MERGED, RENAMED

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ROOT / "tools" / "pull_requests"

# The files that each part copies; it comes after those above it. A part may
# copy a file again of which it needs more than those before it.
PARTS = {
    "gsc-paths": ("tests/speechbrain/test_gsc_recipe.py",),
    "fftp": (
        "speechbrain_fftp/nnet/patching.py",
        "speechbrain_fftp/nnet/position.py",
        "speechbrain_fftp/nnet/tokens.py",
        "speechbrain_fftp/lobes/models/AST.py",
        "speechbrain_fftp/augment/specmask.py",
        "tests/speechbrain/test_AST.py",
        "tests/speechbrain/test_patching.py",
        "tests/speechbrain/test_specmask.py",
        "hparams/stock/ESC50/classification/ast_fftp.yaml",
        "hparams/stock/ESC50/classification/inference/ast_fftp.yaml",
        "hparams/stock/Google-speech-commands/ast_fftp.yaml",
        "hparams/stock/Google-speech-commands/inference/ast_fftp.yaml",
    ),
    "convnext": (
        "speechbrain_fftp/nnet/convolution.py",
        "speechbrain_fftp/nnet/patching.py",
        "speechbrain_fftp/nnet/tokens.py",
        "speechbrain_fftp/lobes/models/ConvNeXt1d.py",
        "tests/speechbrain/test_ConvNeXt1d.py",
        "hparams/stock/Google-speech-commands/convnext_fftp.yaml",
        "hparams/stock/Google-speech-commands/inference/convnext_fftp.yaml",
    ),
    "audioset": (
        "speechbrain_fftp/lobes/features.py",
        "speechbrain_fftp/lobes/tagger.py",
        "speechbrain_fftp/nnet/schedulers.py",
        "speechbrain_fftp/augment/mixup.py",
        "tools/upstream_files/speechbrain/utils/tagging_metrics.py",
        "tests/speechbrain/test_audioset_recipe.py",
        "tests/speechbrain/test_kaldi_features.py",
        "tests/speechbrain/test_mixup.py",
        "tests/speechbrain/test_tagger.py",
        "tests/speechbrain/test_tagging_metrics.py",
        "tests/speechbrain/test_warmup_cosine.py",
        "recipes/AudioSet/train.py",
        "tools/upstream_files/recipes/AudioSet/Tagging/README.md",
        "tools/upstream_files/recipes/AudioSet/Tagging/audioset_prepare.py",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/ast_fftp.yaml",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/models/ast_fftp.yaml",
        "tools/upstream_files/tests/samples/AudioSet/balanced_train_segments.csv",
        "tools/upstream_files/tests/samples/AudioSet/class_labels_indices.csv",
        "tools/upstream_files/tests/samples/AudioSet/eval_segments.csv",
    ),
    "audioset-shards": (
        "tests/speechbrain/test_shards.py",
        "tools/upstream_files/speechbrain/dataio/shards.py",
        "tools/upstream_files/recipes/AudioSet/Tagging/extra_requirements.txt",
        "tools/upstream_files/recipes/AudioSet/Tagging/hparams/ast_fftp_shards.yaml",
    ),
    "aum": (
        "speechbrain_fftp/nnet/convolution.py",
        "speechbrain_fftp/nnet/mamba.py",
        "speechbrain_fftp/nnet/selective_scan/__init__.py",
        "speechbrain_fftp/nnet/selective_scan/torch_backend.py",
        "speechbrain_fftp/lobes/models/AuM.py",
        "tests/speechbrain/test_AuM.py",
        "tests/speechbrain/test_selective_scan.py",
        "hparams/stock/Google-speech-commands/aum_fftp.yaml",
        "hparams/stock/Google-speech-commands/inference/aum_fftp.yaml",
    ),
    "aum-triton": (
        "speechbrain_fftp/nnet/selective_scan/__init__.py",
        "speechbrain_fftp/nnet/selective_scan/mamba_ssm_backend.py",
        "speechbrain_fftp/nnet/selective_scan/triton_backend.py",
        "speechbrain_fftp/nnet/selective_scan/triton_gradient.py",
        "speechbrain_fftp/nnet/selective_scan/triton_kernels.py",
        "tests/speechbrain/test_triton_scan.py",
    ),
    "tagger": (
        "tools/upstream_files/speechbrain/inference/tagging.py",
        "tests/speechbrain/test_tagging.py",
    ),
}


def upstream_path(here):
    """The path in SpeechBrain of a file of this project.

    SpeechBrain has one flat folder of unit tests, and another one for tests of
    what needs optional packages. Files for SpeechBrain alone are in
    ``tools/upstream_files``, under their paths there.

    Example
    -------
    >>> upstream_path("speechbrain_fftp/augment/specmask.py")
    'speechbrain/augment/freq_domain.py'
    >>> upstream_path("hparams/stock/ESC50/classification/ast_fftp.yaml")
    'recipes/ESC50/classification/hparams/ast_fftp.yaml'
    >>> upstream_path(
    ...     "tools/upstream_files/speechbrain/utils/tagging_metrics.py"
    ... )
    'speechbrain/utils/tagging_metrics.py'
    """
    if here.startswith("speechbrain_fftp/"):
        name = here.removeprefix("speechbrain_fftp/").removesuffix(".py")
        name = name.replace("/", ".")
        name = {**RENAMED, **MERGED}.get(name, name)
        return f"speechbrain/{name.replace('.', '/')}.py"
    if here.startswith("tools/upstream_files/"):  # for SpeechBrain alone
        return here.removeprefix("tools/upstream_files/")
    if here.endswith("test_triton_scan.py"):
        return "speechbrain/integrations/tests/test_triton_scan.py"
    if here == "recipes/AudioSet/train.py":
        return "recipes/AudioSet/Tagging/train.py"
    here = re.sub(r"^tests/speechbrain/", "tests/unittests/", here)
    # Yaml files in a folder "models" are in no list of recipes
    here = here.replace("/inference/", "/models/")
    pattern = r"^hparams/stock/(.+?)/((?:models/)?\w+\.yaml)$"
    return re.sub(pattern, r"recipes/\1/hparams/\2", here)


def pull_request(part, new, added):
    """The text of a part's pull request: title, description and files.

    ``new`` and ``added`` are the lines of new files and those added to
    others, by path.
    """
    text = (TEXTS / f"{part}.md").read_text("utf-8")
    text = re.sub(r"<!-- rows (\S+): (.+) -->", _rows, text)
    rows = [f"| `{path}` | {count} |" for path, count in new.items()]
    rows += [
        f"| `{path}` (changed) | {count:+} |" for path, count in added.items()
    ]
    return (
        f"{text}\n## Files\n\n{len(new)} new files, {len(added)} changed, "
        f"{sum(new.values()) + sum(added.values()):,} more lines.\n\n"
        "| file | lines |\n| --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _rows(match):
    """The head and the rows named in the comment of a table in Markdown.

    ``<!-- rows PATH: START | LABEL | LABEL -->`` has the line before the table
    and the first cells of the rows.
    """
    path, words = match.groups()
    start, *labels = words.split(" | ")
    text = (ROOT / path).read_text("utf-8")
    table = f"\n{text}".partition(f"\n{start}\n")[2]
    lines = re.search(r"(?m)(?:^\|.*\n)+", table).group().splitlines()
    chosen = [x for x in lines[2:] if x.split("|")[1].strip() in labels]
    if len(chosen) != len(labels):
        raise ValueError(f"{path}: no rows {', '.join(labels)} after {start}")
    return "\n".join([*lines[:2], *chosen])
