// Draws the spectrogram of a clip and the probabilities of classes over it.

const COLUMNS = 1200; // of a spectrogram
const ROWS = 192;
const TICKS = [250, 500, 1000, 2000, 4000, 8000, 16000]; // in Hz
const FFT_SIZE = 512;
const FRAMES = 4; // averaged per column of the spectrogram
const RANGE_DB = 70; // below the loudest cell
const AXIS = 20; // height in pixels of the times below a picture
const CLASS = 34; // of a class
const BAR = 12; // of the bar that shows its probability

const mel = (hertz) => Math.log10(1 + hertz / 700);
const hertz = (value) => 700 * (10 ** value - 1);
const hann = Float64Array.from(
  { length: FFT_SIZE },
  (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FFT_SIZE),
);

// Draws the spectrogram of samples, with mel-spaced rows, on a new canvas.
export function makeSpectrogram(samples, rate) {
  const bins = Array.from({ length: ROWS }, (_, y) => {
    const frequency = hertz((1 - (y + 0.5) / ROWS) * mel(rate / 2));
    return Math.min(Math.round((frequency * FFT_SIZE) / rate), FFT_SIZE / 2);
  });
  const levels = new Float32Array(COLUMNS * ROWS);
  for (let x = 0; x < COLUMNS; x++) {
    const mean = new Float64Array(FFT_SIZE / 2 + 1);
    for (let frame = 0; frame < FRAMES; frame++) {
      const middle = ((x + (frame + 0.5) / FRAMES) / COLUMNS) * samples.length;
      addPower(samples, Math.round(middle) - FFT_SIZE / 2, mean);
    }
    bins.forEach((bin, y) => {
      levels[y * COLUMNS + x] = 10 * Math.log10(mean[bin] / FRAMES + 1e-10);
    });
  }
  const loudest = levels.reduce((a, b) => Math.max(a, b));
  const image = new ImageData(COLUMNS, ROWS);
  levels.forEach((level, i) => {
    image.data.set(
      colour(Math.max(1 + (level - loudest) / RANGE_DB, 0)),
      4 * i,
    );
  });
  const made = new OffscreenCanvas(COLUMNS, ROWS);
  made.getContext("2d").putImageData(image, 0, 0);
  return made;
}

// Draws a spectrogram with times below it.
export function drawSpectrogram(canvas, spectrogram, duration) {
  const { context, width, height, scale } = prepare(canvas);
  const bottom = height - AXIS * scale;
  context.drawImage(spectrogram, 0, 0, width, bottom);
  drawTimes(context, duration, width, bottom + 5 * scale, scale);
}

// Frequencies to write beside a spectrogram, and their distance from its top, as
// a fraction of its height.
export function frequencyTicks(rate) {
  return TICKS.filter((tick) => tick < (0.99 * rate) / 2).map((tick) => ({
    hertz: tick,
    top: 1 - mel(tick) / mel(rate / 2),
  }));
}

// From dark blue over magenta to light yellow
function colour(share) {
  const red = 255 * Math.min(1.6 * share, 1);
  const green = 255 * Math.max(1.8 * share - 0.8, 0);
  const blue = 255 * (0.2 + 0.5 * Math.sin(Math.PI * share) + 0.4 * share ** 4);
  return [red, green, blue, 255];
}

// Adds the power in the FFT bins of a window that begins at a sample.
function addPower(samples, start, sums) {
  const real = hann.map((weight, n) => weight * (samples[start + n] ?? 0));
  const imaginary = new Float64Array(FFT_SIZE);
  fft(real, imaginary);
  sums.forEach((_, k) => {
    sums[k] += real[k] ** 2 + imaginary[k] ** 2;
  });
}

// Radix-2 FFT in place; the size is a power of two. Permutes numbers to
// bit-reversed order, then computes butterflies of 2, 4, 8, ... numbers.
function fft(real, imaginary) {
  const size = real.length;
  for (let i = 0, j = 0; i < size; i++) {
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((Math.PI * k) / half);
      const sin = -Math.sin((Math.PI * k) / half);
      for (let even = k; even < size; even += 2 * half) {
        const odd = even + half;
        const re = cos * real[odd] - sin * imaginary[odd];
        const im = cos * imaginary[odd] + sin * real[odd];
        real[odd] = real[even] - re;
        imaginary[odd] = imaginary[even] - im;
        real[even] += re;
        imaginary[even] += im;
      }
    }
  }
}

// Indices of the classes with the highest peaks.
export function highestClasses({ peaks, labels }, top) {
  return labels
    .map((_, number) => number)
    .sort((a, b) => peaks[b] - peaks[a])
    .slice(0, top);
}

// Draws classes over time: bars are shaded by probability, lines below them are
// events.
export function drawTimeline(canvas, timeline, events, classes) {
  const { times, probs, labels, duration } = timeline;
  canvas.style.height = `${classes.length * CLASS + AXIS}px`;
  const { context, width, style, scale } = prepare(canvas);
  classes.forEach((number, row) => {
    const y = row * CLASS * scale;
    context.fillStyle = style.color;
    context.fillText(labels[number], 4 * scale, y, width);
    const bar = y + 15 * scale;
    for (let x = 0; x < width; x++) {
      // The nearest window, and the highest one where there are many
      const first = nearest(times, (x / width) * duration);
      const last = nearest(times, ((x + 1) / width) * duration);
      let highest = 0;
      for (let t = first; t <= last; t++) {
        highest = Math.max(highest, probs[t * labels.length + number]);
      }
      context.globalAlpha = 0.06 + 0.94 * highest;
      context.fillStyle = style.accentColor;
      context.fillRect(x, bar, 1, (BAR - 3) * scale);
    }
    context.globalAlpha = 1;
    context.fillStyle = style.color;
    for (const { start, end, label } of events) {
      if (label !== labels[number]) continue;
      const left = (start / duration) * width;
      const right = (end / duration) * width;
      context.fillRect(left, bar + (BAR - 2) * scale, right - left, 2 * scale);
    }
  });
  drawTimes(context, duration, width, canvas.height - 15 * scale, scale);
}

// Draws times along the lower edge, at least 70 pixels apart.
function drawTimes(context, duration, width, y, scale) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
  const fits = (step) => (step / duration) * width >= 70 * scale;
  const step = steps.find(fits) ?? duration;
  const last = Math.floor(duration / step);
  for (let i = 0; i <= last; i++) {
    const text = formatTime(i * step);
    const x = ((i * step) / duration) * width;
    const room = width - context.measureText(text).width;
    if (x <= room) context.fillText(text, x, y);
  }
}

// Minutes and seconds, with decimals.
export function formatTime(seconds, decimals = seconds % 1 ? 1 : 0) {
  const tenths = 10 ** decimals;
  const rounded = Math.round(seconds * tenths) / tenths;
  const rest = (rounded % 60).toFixed(decimals);
  return `${Math.floor(rounded / 60)}:${rest.padStart(decimals ? 3 + decimals : 2, "0")}`;
}

// The index of the prediction or window nearest to a time; `times` ascend.
function nearest(times, time) {
  let [first, last] = [0, times.length - 1];
  while (first < last) {
    const middle = (first + last) >> 1;
    if (times[middle] + times[middle + 1] < 2 * time) first = middle + 1;
    else last = middle;
  }
  return first;
}

// Clears a canvas and sets its size in pixels of the screen; returns its context
// and its style.
function prepare(canvas) {
  const scale = window.devicePixelRatio;
  canvas.width = Math.max(Math.round(canvas.clientWidth * scale), 1);
  canvas.height = Math.max(Math.round(canvas.clientHeight * scale), 1);
  const { width, height } = canvas;
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  context.font = `${12 * scale}px system-ui, sans-serif`;
  context.textBaseline = "top";
  context.fillStyle = style.color;
  return { context, width, height, scale, style };
}
