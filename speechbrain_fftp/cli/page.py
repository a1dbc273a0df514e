"""A page in the browser that tags a clip: ``fftp-tag serve``.

Made with Gradio, and served to this machine only. It needs no network: nothing
is loaded from elsewhere and nothing is reported.

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
# Sounds of the demo set that follow each other in the example clips.
EXAMPLES = (
    ("Siren", "Dial tone"),
    ("Tick-tock", "White noise"),
    ("Sonar", "Chirp tone"),
)


def check_clip(path):
    """Checks that a clip is audio and within the page's limits.

    Arguments
    ---------
    path : str or None
        The file; None if there is none.

    Returns
    -------
    float
        Its length in seconds, according to its header.

    Raises
    ------
    ValueError
        If there is none, it cannot be read, is too large or too long.

    Example
    -------
    >>> check_clip(None)
    Traceback (most recent call last):
    ValueError: Choose a file or record a clip first.
    """
    if path is None:
        raise ValueError("Choose a file or record a clip first.")
    size = Path(path).stat().st_size / 2**20
    if size > MAX_MEGABYTES:
        raise ValueError(
            f"The file has {size:.0f} MB; this page takes {MAX_MEGABYTES} MB "
            "at most. The command fftp-tag has no such limit."
        )
    try:
        with open_audio(path) as file:
            seconds = file.frames / file.samplerate
    except ValueError as error:
        raise ValueError(f"The file is not readable audio: {error}")
    if seconds > 60 * MAX_MINUTES:
        raise ValueError(
            f"The clip lasts {seconds / 60:.1f} minutes; this page takes "
            f"{MAX_MINUTES} at most. The command fftp-tag has no such limit."
        )
    return seconds


def _write_events(path, events):
    """Writes events as a CSV file, and gives its rows without the header."""
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
    """Writes clips of two synthetic sounds each, and gives their paths."""
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
    """Length of a timeline's windows: 2 s, more for clips above two minutes.

    Arguments
    ---------
    tagger : AudioTagger
        The model, whose longest window is the limit.
    seconds : float
        The clip's length.

    Returns
    -------
    dict of float
        ``window`` and ``hop`` in seconds.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> choose_windows(SimpleNamespace(max_window=10.255), 300)
    {'window': 5.0, 'hop': 1.25}
    """
    window = min(max(2.0, seconds / 60), tagger.max_window)
    return {"window": window, "hop": window / 4}


def build_page(tagger):
    """Builds the page: a clip goes in; tags, a picture and events come out.

    Arguments
    ---------
    tagger : AudioTagger
        The model.

    Returns
    -------
    gradio.Blocks
        The page. ``serve`` launches it.

    Raises
    ------
    ImportError
        If Gradio is not installed.

    Example
    -------
    >>> type(build_page(tagger=None)).__name__
    'Blocks'
    """
    try:
        import gradio as gr
    except ImportError:
        raise ImportError(
            "The page needs Gradio and matplotlib: "
            "pip install gradio matplotlib"
        ) from None
    kept = tempfile.TemporaryDirectory(prefix="fftp-tag-")  # until the end

    def find(path, threshold):
        """The rows of the event table, and the CSV file, of a tagged clip."""
        if path is None:
            return [], None
        windows = choose_windows(tagger, check_clip(path))
        events = tagger.tag_long(path, threshold=threshold, **windows)
        table = Path(tempfile.mkdtemp(dir=kept.name)) / "events.csv"
        return _write_events(table, events), str(table)

    def tag(path, threshold):
        """All that is shown of a clip."""
        try:
            windows = choose_windows(tagger, check_clip(path))
            tags = {t.label: t.probability for t in tagger.tag_file(path)}
            wav = tagger.load_wav(path)
            times, probs = tagger.timeline(path, **windows)
            rows, table = find(path, threshold)
        except (OSError, ValueError) as error:
            text = str(error).replace(str(path), "The file")
            raise gr.Error(text, duration=None, print_exception=False)
        picture = str(Path(table).with_name("tags.png"))
        plot_tags(wav, tagger, times, probs, picture)
        return tags, picture, rows, table, path

    with gr.Blocks(
        title="Audio tagging",
        analytics_enabled=False,
        delete_cache=(DAY, DAY),  # and when the page ends
    ) as page:
        page.kept = kept
        gr.Markdown(
            f"# Audio tagging\nClips of up to {MAX_MINUTES} minutes and "
            f"{MAX_MEGABYTES} MB. They do not leave this machine."
        )
        tagged = gr.State()  # the clip that is shown
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
                    label="Threshold of events",
                    elem_id="threshold",
                )
                button = gr.Button("Tag", variant="primary", elem_id="tag")
                examples = [[path] for path in _write_examples(kept.name)]
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
                    label="Events, in seconds",
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
            find,
            [tagged, threshold],
            [events, table],
            api_name="events",
            trigger_mode="always_last",
        )
    return page


def serve(model_folder, port=7860, device="cpu"):
    """Serves the page to this machine, until interrupted.

    Arguments
    ---------
    model_folder : str
        The ``inference`` folder of a trained model.
    port : int
        The page is at http://127.0.0.1:PORT.
    device : str
        Where the model runs: cpu, cuda:0, ...

    Raises
    ------
    ImportError
        If Gradio is not installed.
    OSError
        If a file of the model is missing, or the port cannot be used.
    ValueError
        If the model cannot be loaded.

    Example
    -------
    >>> serve("no_such_folder")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FileNotFoundError: ...
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
        raise OSError(f"Port {port} cannot be used, take another one: {error}")
    print(f"Serving on http://127.0.0.1:{port} (Ctrl+C ends it)", flush=True)
    page.block_thread()
