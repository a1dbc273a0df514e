"""Tries published models on a clip, and prints a table for docs/published.md.

It needs the internet, and for checkpoints PyTorch. Nobody has run it yet.

> python tools/try_published.py clip.wav
> python tools/try_published.py clip.wav owner/name folder

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse

from fftp_tag import AudioTagger
from fftp_tag.errors import InputError, one_line

PUBLISHED = (
    "efficientat/mn04_as",
    "efficientat/mn10_as",
    "MIT/ast-finetuned-audioset-10-10-0.4593",
    "Xenova/ast-finetuned-audioset-10-10-0.4593",
    "mispeech/ced-tiny",
    "mispeech/ced-mini",
    "k2-fsa/sherpa-onnx-ced-tiny-audio-tagging-2024-04-19",
    "k2-fsa/sherpa-onnx-zipformer-small-audio-tagging-2024-04-15",
)
SHOWN = 3  # tags
DIGITS = 12  # of the digest of what was converted


def try_model(source, clip):
    """The cells of a model's row: its digest, and the first tags of a clip."""
    try:
        tagger = AudioTagger.from_pretrained(source)
        tags = tagger.tag_file(clip, top_k=SHOWN)
    except (InputError, OSError) as error:
        return ["-", one_line(error)]
    names = [f"{tag.label} {tag.probability:.3f}" for tag in tags]
    return [tagger.model.digest[:DIGITS], ", ".join(names)]


def main():
    """Prints a row for each model, as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clip", help="an audio file")
    parser.add_argument(
        "models", nargs="*", default=PUBLISHED, help="other ones than the list"
    )
    args = parser.parse_args()
    print("| model | digest | first tags |\n| --- | --- | --- |")
    for source in args.models:
        row = [f"`{source}`", *try_model(source, args.clip)]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
