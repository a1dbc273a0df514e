// Events in probabilities over time: inference/events.py in JavaScript.
//
// The same numbers give the same events; a test compares both. Probabilities
// [T, C] are a Float32Array, one time step after the other.

const RISE = 0.5;

// Averages time steps over some seconds, an odd number of steps. Returns the
// probabilities, and by how many seconds an average rises at an event.
export function smooth(times, probs, nClasses, seconds) {
  const same = { probs, window: 0 };
  if (!seconds || times.length < 2) return same;
  const step = times[1] - times[0];
  const size = 2 * Math.floor(roundHalfEven(seconds / step) / 2) + 1;
  if (size === 1) return same;
  return {
    probs: movingAverage(probs, nClasses, size),
    window: RISE * size * step,
  };
}

function roundHalfEven(x) {
  const isTie = x - Math.floor(x) === 0.5;
  return isTie ? 2 * Math.round(x / 2) : Math.round(x);
}

// Moving average over an odd number of time steps, fewer at both ends.
export function movingAverage(probs, nClasses, size) {
  const nSteps = probs.length / nClasses;
  const half = (size - 1) / 2;
  const mean = new Float32Array(probs.length);
  const sums = new Float64Array(nSteps + 1);
  for (let number = 0; number < nClasses; number++) {
    for (let t = 0; t < nSteps; t++) {
      sums[t + 1] = sums[t] + probs[t * nClasses + number];
    }
    for (let t = 0; t < nSteps; t++) {
      const first = Math.max(t - half, 0);
      const end = Math.min(t + half + 1, nSteps);
      mean[t * nClasses + number] = (sums[end] - sums[first]) / (end - first);
    }
  }
  return mean;
}

// The highest probability of each class.
export function classPeaks(probs, nClasses) {
  const peaks = new Float32Array(nClasses);
  probs.forEach((value, i) => {
    peaks[i % nClasses] = Math.max(peaks[i % nClasses], value);
  });
  return peaks;
}

// The events of all classes, sorted by start. `thresholds` has one number for
// each class; an event ends where its probability falls below a quarter of it.
export function findEvents(timeline, thresholds) {
  const { times, probs, peaks, labels, duration, window } = timeline;
  const found = [];
  labels.forEach((label, number) => {
    const high = Math.fround(thresholds[number]);
    const low = Math.fround(thresholds[number] / 4);
    if (peaks[number] < high) return;
    const values = times.map((_, t) => probs[t * labels.length + number]);
    const events = classEvents(times, values, high, low, window, duration);
    for (const event of events) found.push({ ...event, label });
  });
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

// The events of one class by hysteresis thresholding, as Timeline.events: runs
// of windows that stay at or above low and reach high. Edges are extrapolated
// to where the probability would have been zero.
function* classEvents(times, values, high, low, window, duration) {
  let time = NaN; // of the last window
  let value = NaN; // its probability
  let run = null; // the windows at or above low so far
  for (let t = 0; t < times.length; t++) {
    const slope = (times[t] - time) / (values[t] - value);
    const crosses = (level) => time + (level - value) * slope;
    const isAbove = values[t] >= low;
    if (isAbove && !run) {
      // `rise` is NaN if the run contains the first window of all
      run = { first: values[t], rise: crosses(low), peak: -1 };
    }
    if (isAbove) {
      if (values[t] >= high && run.peak < high) run.reach = crosses(high);
      run.peak = Math.max(run.peak, values[t]);
    }
    if (run && value >= high && values[t] < high) run.fall = crosses(high);
    if (run && !isAbove) {
      if (run.peak >= high) yield closeRun(run, crosses(low), crosses(low));
      run = null;
    }
    time = times[t];
    value = values[t];
  }
  if (run && run.peak >= high) yield closeRun(run, NaN, duration);

  function closeRun({ first, rise, reach, fall, peak }, fell, end) {
    const start = Number.isNaN(rise) ? 0 : rise;
    const longest = 0.4 * (end - start); // so that start < end
    const beginsAfter = inwards(rise, reach, first, peak);
    const endsBefore = inwards(fell, fall, value, peak);
    return {
      start: Math.max(start + Math.min(beginsAfter, longest), 0),
      end: Math.min(end - Math.min(endsBefore, longest), duration),
      probability: peak,
    };
  }

  // Seconds from a crossing of low to the edge of the event. `edge` is the
  // probability of the first or last window of all, if the run contains it.
  function inwards(atLow, atHigh, edge, peak) {
    if (Number.isNaN(atLow)) {
      return edge >= high ? 0 : window * (1 - edge / peak);
    }
    let ramp = low * window; // seconds that it takes to rise from zero to low
    if (high > low) {
      ramp = Math.min((Math.abs(atHigh - atLow) * low) / (high - low), ramp);
    }
    return window / 2 - ramp;
  }
}
