"""The page of ``fftp-tag serve``, which tags a clip in the browser.

Built with Gradio. It needs no network: the page loads nothing from other hosts
and sends no usage data.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import html
import json
import shutil
import tempfile
import time
from pathlib import Path
from threading import get_ident

import numpy as np
import soundfile as sf

from speechbrain_fftp.cli.output import logged_warnings
from speechbrain_fftp.dataio.audio import mono_blocks, open_audio
from speechbrain_fftp.dataio.ffmpeg import readable_source
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.datasets.demo import CLASSES, SAMPLE_RATE
from speechbrain_fftp.inference.plots import plot_tags

MAX_MINUTES = 10
MAX_MEGABYTES = 50
DAY = 24 * 60 * 60  # for which uploads are kept, in seconds
HEADER = ("start", "end", "label", "probability")
# Peaks below the last bit of 16-bit audio
SILENCE = 2**-15
HINT = "Choose or record a clip, then press <b>Tag</b>."
CSS = """
#status [role=alert] { padding: 0.5em; border: 1px solid #dc2626;
    border-left-width: 5px; }
#events table { width: 100%; margin: 0; border-collapse: collapse; }
#events caption { text-align: left; }
#events th, #events td { padding: 0.4em; text-align: right; }
#events td { border-top: 1px solid var(--border-color-primary); }
#events th:nth-child(3), #events td:nth-child(3) { width: 100%;
    text-align: left; overflow-wrap: anywhere; }
"""
# Pairs of sounds of the demo set, for the example clips.
EXAMPLES = (
    ("Siren", "Dial tone"),
    ("Tick-tock", "White noise"),
    ("Sonar", "Chirp tone"),
)


@contextlib.contextmanager
def open_upload(path):
    """Yields a clip as a file, and its length; ValueError if unsuitable."""
    if path is None:
        raise ValueError("Choose a file or record a clip first.")
    size = Path(path).stat().st_size / 2**20
    if size > MAX_MEGABYTES:
        raise ValueError(
            f"The file has {size:.0f} MB, but the limit of this page is "
            f"{MAX_MEGABYTES} MB. The command fftp-tag has no such limit."
        )
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(readable_source(path, 60 * MAX_MINUTES))
            with open_audio(file) as audio:
                most = (60 * MAX_MINUTES + 1) * audio.samplerate
                found = sum(map(len, mono_blocks(audio, most)))
                seconds = found / audio.samplerate
        except ValueError as error:
            raise ValueError(f"The file is not readable audio: {error}")
        if seconds > 60 * MAX_MINUTES:
            raise ValueError(
                f"The clip lasts longer than {MAX_MINUTES} minutes, the limit "
                "of this page. The command fftp-tag has no such limit."
            )
        yield file, seconds


def _write_events(path, events):
    """Writes events as a CSV file; returns them as an HTML table."""
    rows = [
        (round(e.start, 3), round(e.end, 3), e.label, round(e.probability, 3))
        for e in events
    ]
    write_csv(path, HEADER, rows)
    if not events:
        return "<p>No event reaches this threshold.</p>"
    rows = ["".join(f'<th scope="col">{name}</th>' for name in HEADER)]
    rows += (
        f"<td>{e.start:.2f}</td><td>{e.end:.2f}</td>"
        f"<td>{html.escape(e.label)}</td><td>{e.probability:.2f}</td>"
        for e in events
    )
    caption = "<caption>Events (times in seconds)</caption>"
    return f"<table>{caption}<tr>{'</tr><tr>'.join(rows)}</tr></table>"


def _message(text, path):
    """A text for the page, which does not tell where the clip is stored."""
    return html.escape(str(text).replace(str(path), "The file"))


def _write_examples(folder, seconds=4.0):
    """Writes clips of two synthetic sounds each; returns their paths."""
    sounds = {label: make for _, label, make in CLASSES}
    rng = np.random.default_rng(0)
    times = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    paths = []
    for labels in EXAMPLES:
        parts = [sounds[label](rng, times) for label in labels]
        clip = np.concatenate([0.3 * x / np.abs(x).max() for x in parts])
        paths.append(str(Path(folder) / f"{', '.join(labels)}.wav"))
        sf.write(paths[-1], clip, SAMPLE_RATE)
    return paths


def choose_windows(tagger, seconds):
    """``window`` and ``hop`` in seconds: 2 s windows, longer after 2 minutes.

    None for a model that classifies time steps.
    """
    if tagger.has_frames:
        return None, None
    window = min(max(2.0, seconds / 60), tagger.max_window)
    return window, window / 4


def build_page(tagger, folder):
    """Builds the page, a ``gradio.Blocks`` that writes to a folder."""
    import gradio as gr

    def analyze(path):
        """Returns a clip's timeline and waveform, or raises a ValueError."""
        with open_upload(path) as (file, seconds):
            wav = tagger.load_wav(file)
            if np.abs(wav).max() < SILENCE:
                raise ValueError(
                    "The clip is silent. Check the microphone, or choose "
                    "another clip."
                )
            with logged_warnings(
                lambda text: gr.Warning(_message(text, path)),
                thread=get_ident(),  # of this request
            ):
                window, hop = choose_windows(tagger, seconds)
                return tagger.analyze(file, window, hop), wav

    def find_events(timeline, threshold, learned=False):
        """Returns the event table and the CSV file."""
        if timeline is None:
            return None, None
        for old in Path(folder).glob("tmp*"):
            if old.is_dir() and time.time() - old.stat().st_mtime > DAY:
                shutil.rmtree(old, ignore_errors=True)
        path = Path(tempfile.mkdtemp(dir=folder)) / "events.csv"
        events = timeline.events("auto" if learned else threshold)
        return _write_events(path, events), str(path)

    def clear(text=HINT):
        """Returns the content of all outputs without a clip."""
        hidden = gr.update(visible=False)
        return text, hidden, hidden, *4 * [None]

    def tag(path, *threshold):
        """Returns the content of all outputs for a clip."""
        try:
            timeline, wav = analyze(path)
        except (OSError, ValueError) as error:
            return clear(f'<p role="alert">{_message(error, path)}</p>')
        tags = {t.label: t.probability for t in timeline.tags()}
        rows, table = find_events(timeline, *threshold)
        picture = str(Path(table).with_name("tags.png"))
        plot_tags(picture, tagger, wav, timeline, compact=True)
        text = f"{html.escape(Path(path).stem)}, {timeline.duration:.1f} s"
        tags = gr.update(value=tags, visible=True)
        shown = gr.update(visible=True)
        return text, tags, shown, picture, rows, table, timeline

    with gr.Blocks(
        title="Audio tagging", analytics_enabled=False, delete_cache=(DAY, DAY)
    ) as page:
        gr.Markdown(
            f"# Audio tagging\nUpload or record a clip of up to {MAX_MINUTES} "
            f"minutes and {MAX_MEGABYTES} MB. It stays on the machine that "
            "serves this page."
        )
        kept = gr.State()  # timeline of the clip whose results are shown
        with gr.Row():
            with gr.Column(scale=1):
                clip = gr.Audio(
                    label="Clip",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    elem_id="clip",
                )
                button = gr.Button("Tag", variant="primary", elem_id="tag")
                examples = [[path] for path in _write_examples(folder)]
                gr.Examples(examples, clip, label="Examples (synthetic)")
                status = gr.HTML(HINT, elem_id="status")
                tags = gr.Label(
                    label="Tags",
                    show_heading=False,
                    visible=False,
                    elem_id="tags",
                )
            with gr.Column(scale=2, visible=False) as results:
                picture = gr.Image(
                    show_label=False,
                    interactive=False,
                    type="filepath",
                    buttons=["download", "fullscreen"],
                    elem_id="picture",
                )
                has_learned = tagger.thresholds is not None
                learned = gr.Checkbox(
                    has_learned,
                    label="Learned thresholds, instead of:",
                    visible=has_learned,
                )
                threshold = gr.Slider(
                    0.0,  # a typed 0.7 begins with 0
                    1.0,
                    0.5,
                    step=0.05,
                    label="Event threshold",
                    elem_id="threshold",
                )
                events = gr.HTML(
                    apply_default_css=False,
                    container=True,
                    max_height=500,
                    elem_id="events",
                )
                table = gr.DownloadButton("Events as CSV", elem_id="csv")
        outputs = [status, tags, results, picture, events, table, kept]
        limits = [threshold, learned]
        tagging = button.click(
            tag,
            inputs=[clip, *limits],
            outputs=outputs,
            api_name="tag",
            show_progress_on=status,
        )
        # In the browser, before anything else can be clicked
        clip.change(
            None,
            outputs=outputs[:3],
            cancels=[tagging],
            js=f"() => {json.dumps(clear()[:3])}",
        )
        gr.on(
            [threshold.change, learned.change],
            find_events,
            inputs=[kept, *limits],
            outputs=[events, table],
            api_name="events",
            show_progress="hidden",
            trigger_mode="always_last",
        )
    return page
