// Draws the spectrogram of a clip and the probabilities of classes over it.

const FFT_SIZE = 512;
const FRAMES = 4; // whose mean is a column of the spectrogram
const RANGE_DB = 70; // below the loudest cell
const ROW = 34; // pixels of a class
const BAR = 12; // of which show its probability

const mel = (hertz) => Math.log10(1 + hertz / 700);
const hertz = (value) => 700 * (10 ** value - 1);
const hann = Float64Array.from(
  { length: FFT_SIZE },
  (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FFT_SIZE),
);

// The spectrogram, with a column for each pixel and mel-spaced rows.
export function drawSpectrogram(canvas, samples, rate) {
  const { context, width, height } = prepare(canvas);
  const bins = Array.from({ length: height }, (_, y) => {
    const frequency = hertz((1 - (y + 0.5) / height) * mel(rate / 2));
    return Math.min(Math.round((frequency * FFT_SIZE) / rate), FFT_SIZE / 2);
  });
  const levels = new Float32Array(width * height);
  for (let x = 0; x < width; x++) {
    const mean = new Float64Array(FFT_SIZE / 2 + 1);
    for (let frame = 0; frame < FRAMES; frame++) {
      const middle = ((x + (frame + 0.5) / FRAMES) / width) * samples.length;
      addPower(samples, Math.round(middle) - FFT_SIZE / 2, mean);
    }
    bins.forEach((bin, y) => {
      levels[y * width + x] = 10 * Math.log10(mean[bin] / FRAMES + 1e-10);
    });
  }
  const loudest = levels.reduce((a, b) => Math.max(a, b));
  const image = context.createImageData(width, height);
  levels.forEach((level, i) => {
    image.data.set(
      colour(Math.max(1 + (level - loudest) / RANGE_DB, 0)),
      4 * i,
    );
  });
  context.putImageData(image, 0, 0);
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

// Discrete Fourier transform in place, of a power of two of numbers: numbers
// in bit-reversed order, then butterflies of 2, 4, 8, ... of them.
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

// The classes of the highest peaks over time, their probabilities as shades of
// bars, with a line under each event.
export function drawTimeline(canvas, timeline, events, top) {
  const { times, probs, peaks, labels, duration } = timeline;
  const shown = labels
    .map((_, number) => number)
    .sort((a, b) => peaks[b] - peaks[a])
    .slice(0, top);
  canvas.style.height = `${shown.length * ROW + 20}px`;
  const { context, width, style, scale } = prepare(canvas);
  context.font = `${12 * scale}px system-ui, sans-serif`;
  context.textBaseline = "top";
  shown.forEach((number, row) => {
    const y = row * ROW * scale;
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
  drawTimes(context, duration, width, canvas.height - 15 * scale, 70 * scale);
}

// Times along the lower edge, at least `apart` pixels from one to the next.
function drawTimes(context, duration, width, y, apart) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
  const fits = (step) => (step / duration) * width >= apart;
  const step = steps.find(fits) ?? duration;
  const last = Math.floor(duration / step);
  for (let i = 0; i <= last; i++) {
    const text = formatTime(i * step);
    const x = ((i * step) / duration) * width;
    const room = width - context.measureText(text).width;
    if (x <= room) context.fillText(text, x, y);
  }
}

// Minutes and seconds, with as many decimals.
export function formatTime(seconds, decimals = seconds % 1 ? 1 : 0) {
  const tenths = 10 ** decimals;
  const rounded = Math.round(seconds * tenths) / tenths;
  const rest = (rounded % 60).toFixed(decimals);
  return `${Math.floor(rounded / 60)}:${rest.padStart(decimals ? 3 + decimals : 2, "0")}`;
}

// The number of the time that is nearest to a time; times are equally spaced,
// but for the last one.
function nearest(times, time) {
  const step = times.length > 1 ? times[1] - times[0] : 1;
  const number = Math.round((time - times[0]) / step);
  return Math.max(0, Math.min(number, times.length - 1));
}

// A cleared canvas in the pixels of the screen, and its style.
function prepare(canvas) {
  const scale = window.devicePixelRatio;
  canvas.width = Math.max(Math.round(canvas.clientWidth * scale), 1);
  canvas.height = Math.max(Math.round(canvas.clientHeight * scale), 1);
  const { width, height } = canvas;
  const style = getComputedStyle(canvas);
  return { context: canvas.getContext("2d"), width, height, scale, style };
}
