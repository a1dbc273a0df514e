// The timeline of a clip: AudioTagger.analyze in JavaScript. How it is cut is in
// model.json, see ModelInfo in fftp_tag/model/info.py.

import { highest } from "./events.js";

// The timeline of samples of any length. `about` is the model's metadata, `run`
// runs the model. `report` is called with the fraction that is done; an error
// that it throws stops the analysis.
export async function analyze(samples, about, run, report) {
  const { labels, sample_rate, frame_level } = about;
  const pieces = cut(samples.length, about.pieces).map(({ start, end }) => ({
    start: pieceStart(start, end, about),
    end,
  }));
  const windows = frame_level ? [] : cut(samples.length, about.windows);
  const parts = [...pieces, ...windows];
  const total = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  let done = 0;
  for (const part of parts) {
    part.found = await run(samples.slice(part.start, part.end));
    done += part.end - part.start;
    report(done / total);
  }
  const join = new Join(about, (about.pieces.size - about.pieces.hop) / 2);
  const predictions = frame_level
    ? [
        ...pieces.flatMap(({ start, found }) => join.push(start, found)),
        ...join.rest,
      ]
    : windows.map(({ start, end, found }) => ({
        centre: (start + end) / 2,
        probs: found.clip,
      }));
  const probs = stack(predictions.map(({ probs }) => probs));
  const clips = stack(pieces.map(({ found }) => found.clip));
  return {
    labels,
    times: predictions.map(({ centre }) => centre / sample_rate),
    probs,
    peaks: highest(probs, labels.length),
    clipProbs: highest(clips, labels.length),
    duration: samples.length / sample_rate,
  };
}

// Cuts samples into parts: one every `hop`; the last one ends with the samples.
function cut(nSamples, { size, hop }) {
  const starts = [];
  for (let start = 0; start + size < nSamples; start += hop) starts.push(start);
  starts.push(Math.max(nSamples - size, 0));
  return starts.map((start) => ({
    start,
    end: Math.min(start + size, nSamples),
  }));
}

// Where a piece begins: predictions are in step in all pieces, unless a piece
// would be too short for one.
function pieceStart(start, end, { frame_level }) {
  if (!frame_level) return start;
  const { span_samples, hop_samples } = frame_level;
  const first = Math.ceil(start / hop_samples) * hop_samples;
  return end - first >= span_samples ? first : start;
}

// Joins the frame-level predictions of overlapping pieces, in order. Predictions
// are used whose centres are at least `margin` samples before a piece's end; those
// after are the `rest`, unless a later piece has them.
export class Join {
  done = -1; // the first sample of the last prediction that was used
  rest = [];

  constructor({ labels, token_samples, frame_level }, margin) {
    this.nClasses = labels.length;
    this.token = token_samples;
    this.frameLevel = frame_level;
    this.margin = margin;
  }

  // The predictions that are used of a piece.
  push(start, { nSamples, frames }) {
    const { span_samples, hop_samples } = this.frameLevel;
    const more = Math.max(nSamples - span_samples, 0);
    const last = more - (more % this.token);
    const used = [];
    this.rest = [];
    for (let t = 0; t * this.nClasses < frames.length; t++) {
      const first = start + Math.min(t * hop_samples, last);
      if (first <= this.done) continue;
      const centre = first + span_samples / 2;
      const at = t * this.nClasses;
      const probs = frames.subarray(at, at + this.nClasses);
      if (centre > start + nSamples - this.margin) {
        this.rest.push({ centre, probs });
      } else {
        used.push({ centre, probs });
        this.done = first;
      }
    }
    return used;
  }
}

function stack(rows) {
  const all = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => all.set(row, i * row.length));
  return all;
}
