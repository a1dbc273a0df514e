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

// Finds events while predictions arrive, by rules with a value per class: see Rules
// in fftp_tag/model/info.py. Events are also returned once while they go on, with
// the end null, if they are to be (`ongoing`).
export class EventFinder {
  open = new Map(); // start, end so far and highest probability, by class
  begun = new Set(); // classes of events that were returned as ongoing

  constructor(labels, rules, ongoing = false) {
    this.labels = labels;
    this.low = Float32Array.from(rules.low);
    this.high = Float32Array.from(rules.high);
    this.gap = rules.merge_gap ?? labels.map(() => 0);
    this.shortest = rules.min_duration ?? labels.map(() => 0);
    this.ongoing = ongoing;
  }

  // The events that a step ends or begins: from start to end in seconds, with
  // probabilities [C].
  push(start, end, probs) {
    const found = [];
    for (const c of [...this.open.keys()]) {
      found.push(...this.close(c, probs[c] >= this.low[c] ? start : end));
    }
    for (let c = 0; c < this.labels.length; c++) {
      if (!(probs[c] >= this.low[c])) continue;
      const event = this.open.get(c) ?? { start, probability: 0 };
      event.end = end;
      event.probability = Math.max(event.probability, probs[c]);
      this.open.set(c, event);
    }
    return this.ongoing ? [...found, ...this.begin()] : found;
  }

  // The events that end with the recording.
  finish() {
    return [...this.open.keys()].flatMap((c) => this.close(c, Infinity));
  }

  // Closes and returns an event, unless it may continue at `again`.
  close(c, again) {
    const event = this.open.get(c);
    if (again === event.end || again - event.end < this.gap[c]) return [];
    this.open.delete(c);
    this.begun.delete(c);
    return this.isEvent(c, event) ? [{ label: this.labels[c], ...event }] : [];
  }

  begin() {
    const found = [];
    for (const [c, event] of this.open) {
      if (this.begun.has(c) || !this.isEvent(c, event)) continue;
      this.begun.add(c);
      found.push({ label: this.labels[c], ...event, end: null });
    }
    return found;
  }

  isEvent(c, { start, end, probability }) {
    return end - start >= this.shortest[c] && probability >= this.high[c];
  }
}

// Finds the events of all classes, sorted by start and end. A prediction extends
// halfway to its neighbours. If thresholds are learnt, a class must be a tag of the
// whole clip; of probability 0, as in silence, none is.
export function findEvents(timeline, rules) {
  const { times, probs, clipProbs, labels, duration } = timeline;
  const edges = times.map((time, t) => (t ? (times[t - 1] + time) / 2 : 0));
  edges.push(duration);
  const finder = new EventFinder(labels, rules);
  const found = times.flatMap((_, t) => {
    const row = probs.subarray(t * labels.length, (t + 1) * labels.length);
    return finder.push(edges[t], edges[t + 1], row);
  });
  const lowest = rules.is_learnt ? Float32Array.from(rules.threshold) : [];
  const isTag = new Map(
    labels.map((label, c) => [
      label,
      clipProbs[c] > 0 && clipProbs[c] >= (lowest[c] ?? 0),
    ]),
  );
  return [...found, ...finder.finish()]
    .filter(({ label }) => isTag.get(label))
    .sort((a, b) => a.start - b.start || a.end - b.end);
}

// The highest probability of each class in [T, C].
export function highest(probs, nClasses) {
  const peaks = new Float32Array(nClasses);
  probs.forEach((value, i) => {
    peaks[i % nClasses] = Math.max(peaks[i % nClasses], value);
  });
  return peaks;
}
