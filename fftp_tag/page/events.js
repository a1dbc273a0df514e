// Finds tags and events in probabilities: fftp_tag/tag/events.py in JavaScript.
//
// Both give the same results, which a test compares. Probabilities over time
// [T, C] are a Float32Array in row-major order.

// The `top` most probable classes; if there are thresholds, they must reach them.
export function rankTags(probs, labels, top, thresholds) {
  return labels
    .map((label, c) => ({ label, probability: probs[c], number: c }))
    .filter(
      ({ number, probability }) =>
        probability > 0 &&
        (!thresholds || probability >= Math.fround(thresholds[number])),
    )
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top)
    .map(({ label, probability }) => ({ label, probability }));
}

// Finds the events of all classes, sorted by start and end, by rules with a value
// per class: see Rules in fftp_tag/model/info.py. A prediction
// extends halfway to its neighbours. If thresholds are learnt, a class must be a
// tag of the whole clip.
export function findEvents(timeline, rules) {
  const { threshold, low, high, merge_gap, min_duration, is_learnt } = rules;
  const { times, probs, peaks, clipProbs, labels, duration } = timeline;
  const edges = times.map((time, t) => (t ? (times[t - 1] + time) / 2 : 0));
  edges.push(duration);
  const found = [];
  labels.forEach((label, c) => {
    if (peaks[c] < Math.fround(high[c])) return;
    if (is_learnt && clipProbs[c] < Math.fround(threshold[c])) return;
    if (!clipProbs[c]) return;
    const lowest = Math.fround(low[c]);
    const gap = merge_gap?.[c] ?? 0;
    const shortest = min_duration?.[c] ?? 0;
    const events = [];
    for (let t = 0; t < times.length; t++) {
      const probability = probs[t * labels.length + c];
      if (probability < lowest) continue;
      const [start, end] = [edges[t], edges[t + 1]];
      const last = events.at(-1);
      if (last && (last.end === start || start - last.end < gap)) {
        last.end = end;
        last.probability = Math.max(last.probability, probability);
      } else {
        events.push({ start, end, label, probability });
      }
    }
    found.push(
      ...events.filter(
        ({ start, end, probability }) =>
          end - start >= shortest && probability >= Math.fround(high[c]),
      ),
    );
  });
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

// The highest probability of each class in [T, C].
export function highest(probs, nClasses) {
  const peaks = new Float32Array(nClasses);
  probs.forEach((value, i) => {
    peaks[i % nClasses] = Math.max(peaks[i % nClasses], value);
  });
  return peaks;
}
