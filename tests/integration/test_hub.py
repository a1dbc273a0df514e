"""Tests of models from the Hugging Face Hub, with a hub on this machine.

Authors
 * The speechbrain_fftp authors 2026
"""

import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fake_hub import Client, FakeHub
from safetensors.torch import save

from speechbrain_fftp.pretrained.hub import find_model

CONFIG, MORE = "config.json", "preprocessor_config.json"
WEIGHTS = "model.safetensors"
FILES = {
    CONFIG: b'{"model_type": "ced"}',
    MORE: b'{"feature_size": 64}',
    WEIGHTS: save({"weight": torch.arange(1000.0)}),
}
OTHERS = {
    "README.md": b"A model.",
    "pytorch_model.bin": b"pickled",
    "../../evil.json": b"{}",
    "sub/config.json": b"{}",
}
# huggingface_hub writes 10 MiB at once: two of them, and some more.
CHUNK = 10 * 2**20
LARGE = {**FILES, WEIGHTS: save({"weight": torch.arange(6e6)})}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The hub, the folder of the cache, and a client."""
    home = tmp_path_factory.mktemp("home")
    with FakeHub().serving() as hub, Client(hub, home) as client:
        yield SimpleNamespace(hub=hub, home=home, client=client)


@pytest.fixture
def hub(world):
    world.hub.faults.clear()
    return world.hub


@pytest.fixture
def model(request):
    """The id of a model of this test."""
    return "lab/" + re.sub(r"\W+", ".", request.node.name).strip(".")


@pytest.fixture
def find(world, hub):
    return world.client.find


@pytest.fixture
def refused(find):
    """Checks the error of a model: one line, of a built-in class."""

    def check(source, kind, *words, find=find):
        (found, message), shown = find(source)
        assert found is kind and "\n" not in message and not shown
        for word in words:
            assert str(word) in message

    return check


@pytest.fixture
def stored(world, model):
    """Lists the files in the cache of this test's model."""
    folder = world.home / "hub" / f"models--{model.replace('/', '--')}"
    return lambda: [p for p in folder.rglob("*") if not p.is_dir()]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_paths_on_disk_need_no_hub(hub, find, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lab").mkdir()
    Path("lab/model").write_bytes(b"weights")
    for path in ("lab/model", "lab", str(tmp_path), tmp_path):
        assert find_model(path) == Path(path)


def test_other_sources_need_no_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for source in ("ast.pth", "./lab/x", "../x", "/lab/x", "a/b/c", "lab/.."):
        with pytest.raises(FileNotFoundError, match=f"{source}, .* a model"):
            find_model(source)
    for revision in ("../y", "a/../y", "/y", "", "a b"):
        with pytest.raises(FileNotFoundError, match="not a model"):
            find_model(f"lab/x@{revision}")


def test_model_is_downloaded_once(hub, find, model):
    first = hub.publish(model, {**FILES, **OTHERS})
    found, shown = find(model)
    assert found.name == first and content(found) == FILES and not shown
    assert hub.requests(model) == [(file, None) for file in FILES]
    assert find(model) == (found, [])
    assert len(hub.requests(model)) == 3
    # Another commit with the same weights, which are not downloaded again.
    second = hub.publish(model, {**FILES, CONFIG: b'{"model_type": "a"}'})
    moved, _ = find(model)
    assert moved.name == second
    assert content(moved) == {**FILES, CONFIG: b'{"model_type": "a"}'}
    assert [file for file, _ in hub.requests(model)[3:]] == [CONFIG, MORE]
    # The earlier one by its hash: nothing is asked.
    asked = len(hub.log)
    assert find(f"{model}@{first}") == (found, [])
    assert content(found) == FILES and len(hub.log) == asked


def test_cache_has_the_layout_of_huggingface_hub(hub, find, model, world):
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache
    from huggingface_hub.file_download import _CACHED_NO_EXIST

    files = {x: FILES[x] for x in (CONFIG, WEIGHTS)}
    commit = hub.publish(model, files, "main", "refs/pr/1", "v1.0")
    for revision in ("", "@refs/pr/1", "@v1.0"):
        found, _ = find(model + revision)
        assert content(found) == files
    folder = world.home / "hub"
    (repository,) = (
        x for x in scan_cache_dir(folder).repos if x.repo_id == model
    )
    (revision,) = repository.revisions
    assert revision.commit_hash == commit
    assert revision.refs == {"main", "refs/pr/1", "v1.0"}
    assert repository.size_on_disk == sum(map(len, files.values()))
    load = {"cache_dir": folder, "revision": "v1.0"}
    weights = try_to_load_from_cache(model, WEIGHTS, **load)
    assert weights == str(found / WEIGHTS)
    assert try_to_load_from_cache(model, MORE, **load) is _CACHED_NO_EXIST


def test_broken_download_is_resumed(hub, find, model):
    hub.publish(model, LARGE)
    hub.faults.update(cut=CHUNK + 1000)
    found, _ = find(model)
    assert content(found) == LARGE
    asked = [(WEIGHTS, None), (WEIGHTS, f"bytes={CHUNK}-")]
    assert hub.requests(model)[2:] == asked


def test_killed_download_is_resumed(world, hub, find, model, refused, stored):
    hub.publish(model, LARGE)
    hub.faults.update(stall=2 * CHUNK + 1000)
    with Client(hub, world.home) as client:
        client.connection.send(model)
        deadline = time.monotonic() + 60
        while sum(path.stat().st_size for path in stored()) < 2 * CHUNK:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    hub.faults.update(file_status=503)
    refused(model, FileNotFoundError, "503", "resumed")
    hub.faults.clear()
    found, _ = find(model)
    assert content(found) == LARGE
    assert hub.requests(model)[-1] == (WEIGHTS, f"bytes={2 * CHUNK}-")
    assert not [path for path in stored() if path.suffix == ".incomplete"]


def test_two_processes_download_once(world, hub, model):
    with Client(hub, world.home) as other:
        other.find(model)  # so that both start at once
        hub.publish(model, LARGE)
        hub.faults.update(cut=CHUNK + 1000)  # the first one waits a second
        for client in (world.client, other):
            client.connection.send(model)
        (first, _), (second, _) = world.client.result(), other.result()
    assert first == second and content(first) == LARGE
    once = [(CONFIG, None), (MORE, None), (WEIGHTS, None)]
    assert hub.requests(model) == [*once, (WEIGHTS, f"bytes={CHUNK}-")]


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("sent, word", [(10, "size 10"), (5000, "more than")])
def test_sizes_must_be_as_announced(
    hub, find, model, refused, stored, file, sent, word
):
    hub.publish(model, FILES)
    hub.faults.update(bodies={file: (FILES[file] * 300)[:sent]})
    refused(model, ValueError, file, "refused", word)
    assert not [path for path in stored() if path.name == file]
    assert not [path for path in stored() if path.suffix == ".incomplete"]
    hub.faults.clear()
    assert content(find(model)[0]) == FILES


def test_damaged_weights_are_refused(hub, find, model, refused):
    hub.publish(model, FILES)
    hub.faults.update(bodies={WEIGHTS: FILES[WEIGHTS][:-1] + b"?"})
    refused(model, ValueError, WEIGHTS, "SHA-256")
    hub.faults.clear()
    found, _ = find(model)
    assert content(found) == FILES
    # Truncated after the download, by something else.
    (found / WEIGHTS).resolve().write_bytes(b"")
    assert find(model) == (found, []) and content(found) == FILES


def test_json_files_are_objects(hub, model, refused, stored):
    for file in (CONFIG, MORE):
        for text in (b"", b"[1]", b"true", b'"{}"', b"\xff", b"[" * 2**20):
            hub.publish(model, {**FILES, file: text})
            refused(model, ValueError, file, "refused")
            assert not [path for path in stored() if path.name == file]
    assert not [path for path in stored() if path.name == WEIGHTS]


def test_large_files_are_not_downloaded(hub, model, refused, stored):
    hub.publish(model, FILES)
    for file, most in ((CONFIG, 2**20), (MORE, 2**20), (WEIGHTS, 2**31)):
        hub.faults.update(sizes={file: most + 1})
        refused(model, ValueError, file, f"{most + 1:,}", f"{most:,}")
        hub.faults.update(sizes={file: -1})
        refused(model, ValueError, file)
    assert not hub.requests(model) and not stored()


def test_pickles_and_missing_files_are_named(hub, model, refused, stored):
    pickles = dict.fromkeys(("a.bin", "b.pt", "c.pth", "d.ckpt"), b"")
    for files, *words in (
        ({CONFIG: b"{}", **pickles}, WEIGHTS, "run code", *pickles),
        ({CONFIG: b"{}"}, WEIGHTS),
        ({WEIGHTS: FILES[WEIGHTS]}, CONFIG),
    ):
        hub.publish(model, files)
        refused(model, ValueError, *words)
    assert not hub.requests(model) and not stored()


def test_missing_models_and_access(hub, model, refused, stored):
    words = f"no file or folder {model}", f"no model {model} on {hub.url}"
    refused(model, FileNotFoundError, *words)
    hub.publish(model, FILES)
    refused(
        f"{model}@v2", FileNotFoundError, f"no model {model}@v2 on {hub.url}"
    )
    hub.faults.update(status=401)
    refused(model, FileNotFoundError, *words, "private", "HF_TOKEN")
    restricted = "gated", "HF_TOKEN", f"{hub.url}/{model}"
    hub.faults.update(status=403)
    refused(model, PermissionError, *restricted)
    hub.faults.update(status=None, file_status=401, code="GatedRepo")
    refused(model, PermissionError, *restricted)
    assert not stored()


def test_answers_that_no_hub_gives(hub, model, refused, stored):
    hub.publish(model, FILES)
    for faults in (
        {"commit": "../../x"},
        {"commit": "0" * 41},
        {"commit": None},
        {"sums": {WEIGHTS: "../../../x"}},
        {"sizes": {WEIGHTS: "large"}},
        {"text": "<html>Please log in</html>"},
        {"text": "[]"},
    ):
        hub.faults.clear()
        hub.faults.update(faults)
        refused(model, FileNotFoundError, "invalid answer", hub.url)
    assert not hub.requests(model) and not stored()


def test_commit_must_be_the_one_asked_for(hub, model, refused):
    commit = hub.publish(model, FILES)
    hub.faults.update(commit="0" * 40)
    refused(f"{model}@{commit}", FileNotFoundError, "0" * 40)
    assert not hub.requests(model)


def test_offline_mode_uses_the_cache(world, hub, find, model, refused, stored):
    commit = hub.publish(model, FILES)
    with Client(hub, world.home, HF_HUB_OFFLINE="1") as client:
        words = f"no file or folder {model}", "HF_HUB_OFFLINE"
        refused(model, FileNotFoundError, *words, find=client.find)
        assert not stored()
        found, _ = find(model)
        asked = len(hub.log)
        for revision in ("", "@main", f"@{commit}"):
            assert client.find(model + revision) == (found, [])
        refused(f"{model}@v1", FileNotFoundError, *words[1:], find=client.find)
        (found / MORE).unlink()  # it is not known that the model has none
        refused(model, FileNotFoundError, *words, find=client.find)
        assert len(hub.log) == asked
    assert content(find(model)[0]) == FILES


def test_cache_replaces_a_hub_that_does_not_answer(
    world, hub, find, model, refused
):
    commit = hub.publish(model, FILES)
    away = SimpleNamespace(url="http://127.0.0.1:9")
    with Client(away, world.home) as client:
        words = f"no file or folder {model}", away.url
        refused(model, FileNotFoundError, *words, find=client.find)
        hub.faults.update(silent=True)
        start = time.monotonic()
        refused(model, FileNotFoundError, "timed out", hub.url)
        assert time.monotonic() - start < 20
        hub.faults.clear()
        found, _ = find(model)
        unanswered = (
            (client.find, {}),
            (find, {"silent": True}),
            (find, {"status": 503}),
            (find, {"status": 429}),
            (find, {"text": "<html>Please log in</html>"}),
        )
        for call, faults in unanswered:
            hub.faults.clear()
            hub.faults.update(faults)
            path, (warning,) = call(model)
            assert path == found and commit in warning and model in warning
    # A hub that denies the model is not overruled.
    hub.faults.clear()
    for status, kind in ((404, FileNotFoundError), (403, PermissionError)):
        hub.faults.update(status=status)
        refused(model, kind, model)
