"""The settings of a run, and which of them may differ when it is resumed.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import json
import os

from hyperpyyaml.core import recursive_update
from ruamel.yaml.comments import TaggedScalar

from speechbrain_fftp.training.setup import plain_yaml

# What may differ when a run is resumed: places, devices, speed and reports. The
# prepared data must be the same, and number_of_epochs may only be raised.
FREE = """ckpt_interval_minutes ckpt_interval_steps compile compile_mode
compile_module_keys compile_using_dynamic_shape_tracing
compile_using_fullgraph data_parallel_backend data_parallel_count
debug_persistently demo device distributed_backend distributed_launch
find_unused_parameters jit jit_module_keys log_config noprogressbar num_threads
num_workers output_folder overridden_args param_file prepared_folder
profile_steps profile_training profile_warmup skip_prep test_only tqdm_barcolor
tqdm_colored_bar""".split()


def read_settings(hparams_file, overrides, run_opts):
    """Reads all settings, and the names of those that differ from the yaml.

    References such as ``!ref <lr>`` stay as they are, so that a setting appears
    once.
    """
    content = plain_yaml(hparams_file)
    defaults = {key: _plain(value) for key, value in content.items()}
    recursive_update(content, overrides)
    settings = {key: _plain(value) for key, value in content.items()}
    if isinstance(overrides.get("data_folder"), str):
        settings["data_folder"] = os.path.abspath(overrides["data_folder"])
    given = {k for k in settings if settings[k] != defaults.get(k)}
    chosen = run_opts.overridden_args
    for name, value in run_opts.items():
        if name in chosen or name not in settings:
            settings[name] = value
    settings["processes"] = int(os.environ.get("WORLD_SIZE", 1))
    settings = json.loads(json.dumps(settings, default=sorted))
    return settings, sorted(given | chosen)


def compare(record, now, given):
    """Describes the settings that differ from those of a record, run.json.

    A key that only one of them has comes from another version of the package,
    and has its default unless it was given.
    """
    before, free = record["settings"], set(FREE)
    given = {*record["given"], *given}
    if now.get("format") == "webdataset":  # each worker reads its own clips
        free.remove("num_workers")
    if before["number_of_epochs"] < now["number_of_epochs"]:
        free.add("number_of_epochs")
    return [
        f"{key}: {_differing(before.get(key), now.get(key))}"
        for key in sorted({*before, *now} - free)
        if before.get(key) != now.get(key)
        and (key in given or (key in before and key in now))
    ]


def _plain(node):
    """A node of a yaml as plain Python objects, its tag included."""
    if isinstance(node, TaggedScalar):
        return f"{node.tag.value} {node.value}".strip()
    if isinstance(node, dict):
        plain = {str(key): _plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        plain = [_plain(value) for value in node]
    else:
        return node
    tag = getattr(node, "tag", None)
    return {tag.value: plain} if tag is not None and tag.value else plain


def _differing(before, now):
    """Describes how two values differ, by their first lines that do."""
    lines = [json.dumps(value, indent=1).split("\n") for value in (before, now)]
    pairs = itertools.zip_longest(*lines)
    first = next(pair for pair in pairs if pair[0] != pair[1])
    return " -> ".join(str(line).strip(' ,"') for line in first)
