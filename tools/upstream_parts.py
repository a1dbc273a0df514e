"""What goes to SpeechBrain, and in which pull requests.

Each part of the series is small enough for a review and stands on those before
it. Its title and description are in ``tools/pull_requests``, the lines that it
adds to files of SpeechBrain in ``upstream_lists``.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Unit tests that are not named after the module that they test: SpeechBrain has
# another test of that name, or runs those of integrations before a release.
TESTS = {
    "tests/unit/nnet/test_selective_scan_triton.py": (
        "speechbrain/integrations/tests/test_triton_scan.py"
    ),
}

# What each part brings; it comes after those above it.
PARTS = {
    "fftp": (
        "speechbrain_fftp/nnet/convolution.py",
        "speechbrain_fftp/nnet/patching.py",
        "speechbrain_fftp/nnet/position.py",
        "speechbrain_fftp/nnet/tokens.py",
        "speechbrain_fftp/lobes/models/AST.py",
        "speechbrain_fftp/augment/specmask.py",
        "tests/unit/nnet/test_patching.py",
        "tests/unit/nnet/test_position.py",
        "tests/unit/lobes/test_AST.py",
        "tests/unit/augment/test_specmask.py",
        "hparams/stock/ESC50/classification/ast_fftp.yaml",
        "hparams/stock/Google-speech-commands/ast_fftp.yaml",
    ),
    "aum": (
        "speechbrain_fftp/nnet/selective_scan/__init__.py",
        "speechbrain_fftp/nnet/selective_scan/mamba_ssm_backend.py",
        "speechbrain_fftp/nnet/selective_scan/torch_backend.py",
        "speechbrain_fftp/nnet/selective_scan/triton_backend.py",
        "speechbrain_fftp/nnet/selective_scan/triton_gradient.py",
        "speechbrain_fftp/nnet/selective_scan/triton_kernels.py",
        "speechbrain_fftp/nnet/mamba.py",
        "speechbrain_fftp/lobes/models/AuM.py",
        "tests/unit/nnet/test_selective_scan.py",
        "tests/unit/nnet/test_selective_scan_triton.py",
        "tests/unit/nnet/test_mamba.py",
        "tests/unit/nnet/test_tokens.py",
        "tests/unit/lobes/test_AuM.py",
        "hparams/stock/ESC50/classification/aum_fftp.yaml",
        "hparams/stock/Google-speech-commands/aum_fftp.yaml",
    ),
    "kaldi": (
        "speechbrain_fftp/lobes/features.py",
        "tests/unit/lobes/test_features.py",
        "hparams/stock/Google-speech-commands/ast_fftp_kaldi.yaml",
    ),
    "convnext": (
        "speechbrain_fftp/lobes/models/ConvNeXt1d.py",
        "tests/unit/lobes/test_ConvNeXt1d.py",
        "hparams/stock/Google-speech-commands/convnext_fftp.yaml",
    ),
}


def pull_request(part, new, added):
    """The text of a part's pull request: title, description and files.

    ``new`` and ``added`` are the lines of new files and those added to
    others, by path.
    """
    text = (ROOT / "tools" / "pull_requests" / f"{part}.md").read_text("utf-8")
    text = re.sub(r"<!-- table (\S+): (.+) -->", _table, text)
    rows = [f"| `{path}` | {count} |" for path, count in new.items()]
    rows += [
        f"| `{path}` (changed) | {count} |" for path, count in added.items()
    ]
    return (
        f"{text}\n## Files\n\n"
        f"{len(new)} new files, {len(added)} changed, "
        f"{sum(new.values()) + sum(added.values()):,} new lines, exported from "
        "the plugin speechbrain_fftp.\n\n"
        "| file | new lines |\n| --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _table(match):
    """The first table after a line of a file in Markdown."""
    path, start = match.groups()
    text = (ROOT / path).read_text("utf-8")
    text = f"\n{text}".partition(f"\n{start}\n")[2]
    return re.search(r"(?m)(?:^\|.*\n)+", text).group().rstrip("\n")
