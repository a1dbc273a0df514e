// Cuts samples into windows and pieces, and joins what the model finds in them:
// inference/windows.py and the class AudioTagger in JavaScript.

const OVERLAP = 0.1; // of consecutive pieces, of the maximum clip length

// Starts of windows: every `hop` samples; the last one ends with the samples.
export function windowStarts(nSamples, size, hop) {
  const starts = [];
  for (let start = 0; start + size < nSamples; start += hop) starts.push(start);
  starts.push(Math.max(nSamples - size, 0));
  return starts;
}

// Consecutive windows of equal length, at most `most` at a time.
export function* batches(starts, most) {
  for (let i = 0; i < starts.length; i += most) yield starts.slice(i, i + most);
}

// Window and hop of the timeline, in samples: 2 s every 0.5 s, or as long as
// the model's clips may be.
export function timelineGrid({ sample_rate, max_samples, min_samples }) {
  const longest = Math.min(2 * sample_rate, max_samples);
  const size = Math.max(longest, min_samples);
  return { size, hop: Math.round(size / 4) };
}

// Pieces for a model that classifies time steps. They overlap by at least a
// patch and a step, and each begins at a time step: the last one, which ends
// with the samples, begins at the next.
export function framePieces(nSamples, { max_samples, min_samples, steps }) {
  const step = steps.step_samples;
  const overlap = Math.max(OVERLAP * max_samples, min_samples + step);
  const nSteps = Math.floor(Math.floor(max_samples - overlap) / step);
  const hop = Math.max(nSteps, 1) * step;
  return windowStarts(nSamples, max_samples, hop).map((start) => ({
    start: Math.ceil(start / step) * step,
    end: Math.min(start + max_samples, nSamples),
    first: Math.ceil(start / step), // number of its first time step
  }));
}

// Joins overlapping pieces, each of which fades into the next: `first` is the
// number of the first time step of a piece, `probs` its probabilities [N, C].
export function joinPieces(pieces, nClasses) {
  const ends = pieces.map(
    ({ first, probs }) => first + probs.length / nClasses,
  );
  const nSteps = ends.reduce((a, b) => Math.max(a, b), 0);
  const total = new Float32Array(nSteps * nClasses);
  const weights = new Float32Array(nSteps);
  for (const { first, probs } of pieces) {
    const length = probs.length / nClasses;
    for (let t = 0; t < length; t++) {
      const weight = Math.min(t + 1, length - t);
      weights[first + t] += weight;
      for (let number = 0; number < nClasses; number++) {
        const at = (first + t) * nClasses + number;
        total[at] += weight * probs[t * nClasses + number];
      }
    }
  }
  return total.map((sum, i) => sum / weights[Math.floor(i / nClasses)]);
}
