// Events in probabilities over time: fftp_tag/events.py in JavaScript.
//
// The same numbers give the same events; a test compares both. Probabilities
// [T, C] are a Float32Array, one time step after the other.

// The events of all classes, sorted by start and end. A time step stands for
// the time between the middles to its neighbours. Rules are the `thresholds`,
// and the `merge_gap` and `min_duration` in seconds, of each class; null is 0.
export function findEvents(timeline, { thresholds, merge_gap, min_duration }) {
  const { times, probs, peaks, labels, duration } = timeline;
  const edges = times.map((time, t) => (t ? (times[t - 1] + time) / 2 : 0));
  edges.push(duration);
  const found = [];
  labels.forEach((label, c) => {
    const threshold = Math.fround(thresholds[c]);
    if (peaks[c] < threshold) return;
    const gap = merge_gap?.[c] ?? 0;
    const shortest = min_duration?.[c] ?? 0;
    const events = [];
    for (let t = 0; t < times.length; t++) {
      const probability = probs[t * labels.length + c];
      if (probability < threshold) continue;
      const [start, end] = [edges[t], edges[t + 1]];
      const last = events.at(-1);
      if (last && (last.end === start || start - last.end < gap)) {
        last.end = end;
        last.probability = Math.max(last.probability, probability);
      } else {
        events.push({ start, end, label, probability });
      }
    }
    found.push(...events.filter(({ start, end }) => end - start >= shortest));
  });
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

// The highest of the probabilities [T, C] of each class.
export function highest(probs, nClasses) {
  const peaks = new Float32Array(nClasses);
  probs.forEach((value, i) => {
    peaks[i % nClasses] = Math.max(peaks[i % nClasses], value);
  });
  return peaks;
}
