// The timeline of a clip: AudioTagger.analyze in JavaScript.

import { highest } from "./events.js";

const OVERLAP = 0.1; // of pieces, as a fraction of the maximum clip length
const WINDOW_SECONDS = 2;

// The timeline of samples of any length. `about` is the model's metadata, `run`
// runs the model. `report` is called with the fraction that is done; an error
// that it throws stops the analysis.
export async function analyze(samples, about, run, report) {
  const { labels, sample_rate, frame_level } = about;
  const nSamples = samples.length;
  const pieces = frame_level
    ? framePieces(nSamples, about)
    : cut(nSamples, about.max_samples, about.max_samples);
  const windows = frame_level ? [] : timelineWindows(nSamples, about);
  const parts = [...pieces, ...windows];
  const total = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  let done = 0;
  for (const part of parts) {
    part.found = await run(samples.slice(part.start, part.end));
    done += part.end - part.start;
    report(done / total);
  }
  const clips = (rows) => stack(rows.map(({ found }) => found.clip));
  const probs = frame_level ? joinPieces(pieces, labels.length) : clips(windows);
  return {
    labels,
    times: frame_level
      ? frameLevelTimes(probs.length / labels.length, about)
      : windows.map(({ start, end }) => (start + end) / 2 / sample_rate),
    probs,
    peaks: highest(probs, labels.length),
    clipProbs: highest(clips(pieces), labels.length),
    duration: nSamples / sample_rate,
  };
}

// Cuts samples into parts of `size`, one every `hop`; the last part ends with the
// samples.
export function cut(nSamples, size, hop) {
  const starts = [];
  for (let start = 0; start + size < nSamples; start += hop) starts.push(start);
  starts.push(Math.max(nSamples - size, 0));
  return starts.map((start) => ({
    start,
    end: Math.min(start + size, nSamples),
  }));
}

// Windows of 2 s, at most the maximum clip length; the hop is a quarter of a
// window.
function timelineWindows(nSamples, about) {
  const { sample_rate, max_samples, min_samples } = about;
  const longest = Math.min(WINDOW_SECONDS * sample_rate, max_samples);
  const size = Math.max(longest, min_samples);
  return cut(nSamples, size, Math.round(size / 4));
}

// Pieces for a frame-level model. They overlap by at least the span of a
// prediction, and each begins where a prediction does: the last one, which ends
// with the samples, begins at the next.
function framePieces(nSamples, { max_samples, frame_level }) {
  const { span_samples, hop_samples } = frame_level;
  const overlap = Math.max(OVERLAP * max_samples, span_samples + hop_samples);
  const count = Math.floor((max_samples - overlap) / hop_samples);
  const hop = Math.max(count, 1) * hop_samples;
  return cut(nSamples, max_samples, hop).map(({ start, end }) => ({
    start: Math.ceil(start / hop_samples) * hop_samples,
    end,
    first: Math.ceil(start / hop_samples), // index of its first prediction
  }));
}

function frameLevelTimes(count, { sample_rate, frame_level }) {
  const { span_samples, hop_samples } = frame_level;
  const time = (_, t) => (hop_samples * t + span_samples / 2) / sample_rate;
  return Array.from({ length: count }, time);
}

// Joins overlapping pieces with a cross-fade: `first` is the index of a piece's
// first prediction, `found.frames` its probabilities [N, C].
export function joinPieces(pieces, nClasses) {
  const last = pieces.at(-1);
  const nPredictions = last.first + last.found.frames.length / nClasses;
  const total = new Float32Array(nPredictions * nClasses);
  const weights = new Float32Array(nPredictions);
  for (const { first, found } of pieces) {
    const length = found.frames.length / nClasses;
    for (let t = 0; t < length; t++) {
      const weight = Math.min(t + 1, length - t);
      weights[first + t] += weight;
      for (let c = 0; c < nClasses; c++) {
        const at = (first + t) * nClasses + c;
        total[at] += weight * found.frames[t * nClasses + c];
      }
    }
  }
  return total.map((sum, i) => sum / weights[Math.floor(i / nClasses)]);
}

function stack(rows) {
  const all = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => all.set(row, i * row.length));
  return all;
}
