"""The text beside a model that is shared: what it is, and what it is not.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fftp_tag.files import PathLike

if TYPE_CHECKING:
    from fftp_tag.model.session import Model

TAGGING = """\
With the package speechbrain_fftp, without PyTorch:

```
fftp-tag clip.wav --model {name}
fftp-tag clip.wav --model {name} --timeline
```

```python
from fftp_tag import AudioTagger

tagger = AudioTagger.from_pretrained("{name}")
for tag in tagger.tag_file("clip.wav"):
    print(tag.label, tag.probability)
```

Other programs run `model.onnx` with ONNX Runtime: the input `wavs` is float32
`[batch, samples]` in -1..1 at {rate} Hz, the output `probabilities` is
`[batch, {classes}]`, in the order of the labels, which the file's metadata have too.
"""
PAGE = """\
Open the page: it runs the model in the browser, and uploads no sound.
"""
USES = {"hub": TAGGING, "space": PAGE}


def write_card(
    folder: PathLike,
    model: "Model",
    name: str,
    licence: str,
    form: str = "hub",
    about: str = "",
    speechbrain: str | None = None,
    report: dict[str, Any] | None = None,
) -> None:
    """Writes ``README.md``, in the form of the Hugging Face hub.

    Arguments
    ---------
    folder : str
        The folder that is uploaded.
    model : Model
    name : str
        ``owner/name``.
    licence : str
        Of the weights, by its name on the hub.
    form : str
        A key of ``USES``.
    about : str
        What the user has to say, in Markdown.
    speechbrain : str, optional
        How SpeechBrain loads the folder, if it can.
    report : dict, optional
        Of ``learn``, by whose names the card has scores.
    """
    title = name.partition("/")[2]
    use = USES[form].format(
        name=name, rate=model.sample_rate, classes=len(model.labels)
    )
    if speechbrain is not None:
        _, _, text = speechbrain.partition("\n")  # without its title
        use += (
            f"\n### SpeechBrain\n\n`hf download {name} --local-dir {title}` "
            f"gets this folder.\n{text.replace('FOLDER', title)}"
        )
    note, credit = model.info.note, escaped(model.info.credit or "")
    if Path(folder, "attribution.csv").exists():
        credit += " [attribution.csv](attribution.csv) is in this folder."
    labels = "\n".join(f"- {escaped(label)}" for label in model.labels)
    parts = [
        front_matter(model, title, licence, form, speechbrain is not None),
        f"# {title}\n",
        describe(model),
        f"**{escaped(note)}**\n" if note else "",
        f"{about.strip()}\n" if about.strip() else "",
        f"## Use\n\n{use}",
        f"## Scores\n\n{scores(report)}" if report else "",
        f"## Limits\n\n{limits(model)}",
        f"## Credits\n\n{credit.strip()}\n" if credit else "",
        f"## Labels\n\n{labels}\n",
    ]
    text = "\n".join(part for part in parts if part)
    Path(folder, "README.md").write_text(text, "utf-8")


def front_matter(
    model: "Model", title: str, licence: str, form: str, for_speechbrain: bool
) -> str:
    """What the hub reads."""
    if form == "space":
        lines = [f"title: {title}", "sdk: static", f"license: {licence}"]
        return "\n".join(["---", *lines, "---\n"])
    library = "speechbrain" if for_speechbrain else "speechbrain_fftp"
    tags = ["audio-tagging", "onnx"]
    if model.is_frame_level:
        tags.append("sound-event-detection")
    lines = [
        f"license: {licence}",
        f"library_name: {library}",
        "pipeline_tag: audio-classification",
        "tags:",
        *(f"- {tag}" for tag in tags),
    ]
    return "\n".join(["---", *lines, "---\n"])


def describe(model: "Model") -> str:
    """What goes in and what comes out."""
    rate = model.sample_rate
    n_classes = len(model.labels)
    lines = [
        f"Finds {n_classes} {'class' if n_classes == 1 else 'classes'} of sounds "
        f"in mono audio at {rate} Hz, in pieces of at most "
        f"{model.max_samples / rate:.3g} s; longer recordings are cut into these."
    ]
    if model.is_frame_level:
        lines.append(
            f"It is frame-level: a prediction every "
            f"{model.hop_samples / rate:g} s, from {model.span_samples / rate:g} "
            "s of sound, so that it finds when sounds begin and end."
        )
    what = "prediction" if model.is_frame_level else "clip"
    if model.info.single_label:
        lines.append(
            f"A {what} has one class: its probabilities sum to 1 at most."
        )
    else:
        lines.append(f"A {what} has any number of classes.")
    return "\n".join(lines) + "\n"


def scores(report: dict[str, Any]) -> str:
    """How well a model has learnt, by the report of ``learn``."""
    counts = list(report["clips"].values())
    lines = [
        f"Learnt from {sum(counts)} clips, {min(counts)} to {max(counts)} of a "
        f"class, and {report['background_seconds'] / 60:.1f} minutes of background."
    ]
    if report["scores"]:
        others = "other recordings" if report["grouped"] else "these recordings"
        lines += [
            f"Cross-validation in {report['folds']} folds, for new clips of "
            f"{others}:\n",
            "| score | value | 95 % interval | without the encoder |",
            "|---|---|---|---|",
        ]
    for name, found in report["scores"].items():
        lines.append(
            f"| {name.replace('_', ' ')} | {percent(found)} "
            f"| {100 * found['without_encoder']:.0f} % |"
        )
    rows = {
        "other sounds, of kinds that it has not learnt from": report[
            "other_sounds_tagged"
        ],
        "sounds like the classes, each left out in turn": report[
            "left_out_classes_tagged"
        ],
    }
    rows = {name: found for name, found in rows.items() if found}
    if rows:
        lines += [
            "\n| unknown sounds | tagged | 95 % interval |",
            "|---|---|---|",
        ]
    for name, found in rows.items():
        value = percent({**found, "value": found["share"]})
        lines.append(f"| {name} | {value} |")
    alarms = report["false_alarms"]
    if alarms and alarms["seconds"]:
        together = alarms["together"]
        lines.append(
            f"\nFalse alarms in {alarms['seconds'] / 60:.0f} minutes of background: "
            f"{together['count']}, at most {together['at_most']:.1f} an hour (95 %)."
        )
    return "\n".join(lines) + "\n"


def percent(found: dict[str, Any]) -> str:
    """Cells of a value and its interval, if it has one."""
    ends = [found["low"], found["high"]]
    interval = ""
    if None not in ends:
        interval = " to ".join(f"{100 * x:.0f}" for x in ends) + " %"
    return f"{100 * found['value']:.0f} % | {interval}"


def limits(model: "Model") -> str:
    """What a user of the model must not expect, as a list."""
    lines = [
        "It knows the labels below, and takes other sounds for one of them or "
        "for none.",
        "Scores on recordings of one kind do not hold for others: measure on your "
        "own before you rely on it.",
    ]
    if not model.rules.is_learnt:
        lines.append(
            "It has learnt no thresholds: choose them on labelled recordings."
        )
    frame_level = model.info.frame_level
    if frame_level is not None and frame_level.of_clips:
        lines.append(
            "Its rules of events were not learnt from true times of events."
        )
    return "".join(f"- {line}\n" for line in lines)


def escaped(text: str) -> str:
    """A text that Markdown shows as it is, also in a table."""
    for character in "\\`*_<>|[]~&":
        text = text.replace(character, f"\\{character}")
    return text
