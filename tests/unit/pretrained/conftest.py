"""Published models with random weights, in each form that is loaded.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil

import pytest

FORMS = {
    "AST folder": "ast_pipeline/ast_a",
    "AST file": "ast/official_d64_t128.pth",
    "Audio Mamba": "aum/fobi_t128.pth",
}


@pytest.fixture
def published(shared, tmp_path):
    """A function that returns the path of a model.

    Settings replace those of its config.json, in a copy.
    """

    def published(form, **settings):
        path = shared / "fixtures" / FORMS[form]
        if settings:
            path = shutil.copytree(path, tmp_path / path.name)
            config = json.loads((path / "config.json").read_text("utf-8"))
            text = json.dumps({**config, **settings})
            (path / "config.json").write_text(text, "utf-8")
        return path

    return published


@pytest.fixture(params=FORMS)
def form(request):
    """Each form."""
    return request.param
