"""The page of ``fftp-tag serve``, which tags a clip in the browser.

Built with Gradio and served to this machine only. It needs no network: the page
loads nothing from other hosts and sends no usage data.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio.audio import open_audio
from speechbrain_fftp.datasets.synthetic.sounds import CLASSES, SAMPLE_RATE
from speechbrain_fftp.inference.plots import plot_tags
from speechbrain_fftp.inference.tagging import AudioTagger

MAX_MINUTES = 10
MAX_MEGABYTES = 50
DAY = 24 * 60 * 60
HEADER = ("start", "end", "label", "probability")
# Pairs of sounds of the demo set, for the example clips.
EXAMPLES = (
    ("Siren", "Dial tone"),
    ("Tick-tock", "White noise"),
    ("Sonar", "Chirp tone"),
)


def check_upload(path):
    """Checks the format and size of a clip; returns its length in seconds.

    Raises a ValueError if there is no clip (None), or if it is not audio or
    exceeds the limits of the page.
    """
    if path is None:
        raise ValueError("Choose a file or record a clip first.")
    size = Path(path).stat().st_size / 2**20
    if size > MAX_MEGABYTES:
        raise ValueError(
            f"The file has {size:.0f} MB, but the limit of this page is "
            f"{MAX_MEGABYTES} MB. The command fftp-tag has no such limit."
        )
    try:
        with open_audio(path) as file:
            seconds = file.frames / file.samplerate
    except ValueError as error:
        raise ValueError(f"The file is not readable audio: {error}")
    if seconds > 60 * MAX_MINUTES:
        raise ValueError(
            f"The clip lasts {seconds / 60:.1f} minutes, but the limit of this "
            f"page is {MAX_MINUTES}. The command fftp-tag has no such limit."
        )
    return seconds


def _write_events(path, events):
    """Writes events as a CSV file; returns its rows without the header."""
    rows = [
        [round(e.start, 3), round(e.end, 3), e.label, round(e.probability, 3)]
        for e in events
    ]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
    return rows


def _write_examples(folder, seconds=4.0):
    """Writes clips of two synthetic sounds each; returns their paths."""
    sounds = {label: make for _, label, make in CLASSES}
    rng, t = np.random.default_rng(0), np.arange(seconds * SAMPLE_RATE)
    paths = []
    for labels in EXAMPLES:
        parts = [sounds[label](rng, t / SAMPLE_RATE) for label in labels]
        clip = np.concatenate([0.3 * x / np.abs(x).max() for x in parts])
        paths.append(str(Path(folder) / f"{', '.join(labels)}.wav"))
        sf.write(paths[-1], clip, SAMPLE_RATE)
    return paths


def choose_windows(tagger, seconds):
    """``window`` and ``hop`` in seconds: 2 s windows, longer after 2 minutes."""
    window = min(max(2.0, seconds / 60), tagger.max_window)
    return {"window": window, "hop": window / 4}


def build_page(tagger):
    """Builds the page, a ``gradio.Blocks``, which ``serve`` launches."""
    try:
        import gradio as gr
    except ImportError:
        raise ImportError(
            "The page needs Gradio and matplotlib: "
            "pip install gradio matplotlib"
        ) from None
    results = tempfile.TemporaryDirectory(prefix="fftp-tag-")

    def find_events(path, threshold):
        """Returns the rows of the event table and the CSV file."""
        if path is None:
            return [], None
        windows = choose_windows(tagger, check_upload(path))
        events = tagger.tag_long(path, threshold=threshold, **windows)
        table = Path(tempfile.mkdtemp(dir=results.name)) / "events.csv"
        return _write_events(table, events), str(table)

    def tag(path, threshold):
        """Returns the content of all outputs for a clip."""
        try:
            windows = choose_windows(tagger, check_upload(path))
            tags = {t.label: t.probability for t in tagger.tag_file(path)}
            wav = tagger.load_wav(path)
            timeline = tagger.analyze(path, **windows)
            rows, table = find_events(path, threshold)
        except (OSError, ValueError) as error:
            text = str(error).replace(str(path), "The file")
            raise gr.Error(text, duration=None, print_exception=False)
        picture = str(Path(table).with_name("tags.png"))
        plot_tags(picture, tagger, wav, timeline)
        return tags, picture, rows, table, path

    with gr.Blocks(
        title="Audio tagging",
        analytics_enabled=False,
        delete_cache=(DAY, DAY),  # uploads; also when the server stops
    ) as page:
        page.results = results  # removed with the page
        gr.Markdown(
            f"# Audio tagging\nUpload or record a clip of up to {MAX_MINUTES} "
            f"minutes and {MAX_MEGABYTES} MB. It stays on this machine."
        )
        tagged = gr.State()  # path of the clip whose results are shown
        with gr.Row():
            with gr.Column(scale=1):
                clip = gr.Audio(
                    label="Clip",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    elem_id="clip",
                )
                threshold = gr.Slider(
                    0.05,
                    1.0,
                    0.5,
                    step=0.05,
                    label="Event threshold",
                    elem_id="threshold",
                )
                button = gr.Button("Tag", variant="primary", elem_id="tag")
                examples = [[path] for path in _write_examples(results.name)]
                gr.Examples(examples, clip, label="Examples (synthetic)")
                tags = gr.Label(
                    label="Tags", show_heading=False, elem_id="tags"
                )
            with gr.Column(scale=2):
                picture = gr.Image(
                    show_label=False,
                    interactive=False,
                    type="filepath",
                    buttons=["download", "fullscreen"],
                    elem_id="picture",
                )
                events = gr.Dataframe(
                    headers=list(HEADER),
                    label="Events (times in seconds)",
                    interactive=False,
                    elem_id="events",
                )
                table = gr.DownloadButton("Events as CSV", elem_id="csv")
        button.click(
            tag,
            [clip, threshold],
            [tags, picture, events, table, tagged],
            api_name="tag",
        )
        threshold.change(
            find_events,
            [tagged, threshold],
            [events, table],
            api_name="events",
            trigger_mode="always_last",
        )
    return page


def serve(model_folder, port=7860, device="cpu"):
    """Serves the page at http://127.0.0.1:PORT until interrupted.

    Raises an OSError if a file of the model is missing or the port cannot be
    used, and a ValueError if the model cannot be loaded.
    """
    page = build_page(AudioTagger.from_pretrained(model_folder, device=device))
    try:
        page.launch(
            server_name="127.0.0.1",
            server_port=port,
            max_file_size=MAX_MEGABYTES * 2**20,
            share=False,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise OSError(
            f"Port {port} cannot be used, choose another one: {error}"
        )
    print(f"Serving on http://127.0.0.1:{port} (Ctrl+C to stop)", flush=True)
    page.block_thread()
