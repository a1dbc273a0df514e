// Runs the model with ONNX Runtime, in a worker so that the page stays usable.
//
// Messages to it: {id, about, runtime}, once; then {id, samples} for a timeline
// or {id, clip} for the probabilities of a short clip. It answers with {id,
// result} or {id, error}, and {id, progress} meanwhile. Samples are mono, at the
// model's rate. A new message ends the work on the last one.

import { classPeaks, smooth } from "./events.js";
import {
  batches,
  framePieces,
  joinPieces,
  timelineGrid,
  windowStarts,
} from "./pieces.js";

const BATCH_SECONDS = 16; // of windows that are passed to the model at a time

let current; // id of the last message
let model; // a promise of {run, about}

onmessage = async ({ data }) => {
  const { id, about, runtime, samples, clip } = data;
  current = id;
  const report = (progress) => postMessage({ id, progress });
  try {
    if (about) model = loadModel(about, runtime, report);
    const loaded = await model;
    let result = true;
    if (clip) result = (await loaded.run([clip])).clips;
    if (samples) result = await analyze(samples, loaded, id, report);
    if (result) postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};

async function loadModel(about, { folder, integrity }, report) {
  const fetchRuntime = (name) =>
    download(new URL(name, new URL(folder, location)), {
      integrity: integrity[name],
    });
  const [script, wasm] = Object.keys(integrity);
  const code = new Blob([await fetchRuntime(script)], {
    type: "text/javascript",
  });
  const ort = await import(URL.createObjectURL(code));
  ort.env.wasm.wasmBinary = await fetchRuntime(wasm);
  ort.env.wasm.numThreads = 1;
  const file = await download(new URL("model.onnx", location), {}, report);
  const session = await ort.InferenceSession.create(file);
  const nClasses = about.labels.length;

  // Probabilities of clips of equal length, and of time steps if there are any.
  async function run(wavs) {
    const size = wavs[0].length;
    const joined = new Float32Array(wavs.length * size);
    wavs.forEach((wav, i) => joined.set(wav, i * size));
    const outputs = await session.run({
      wavs: new ort.Tensor("float32", joined, [wavs.length, size]),
      wav_lens: new ort.Tensor(
        "float32",
        new Float32Array(wavs.length).fill(1),
        [wavs.length],
      ),
    });
    const clips = outputs.probabilities.data;
    if (clips.some(Number.isNaN)) {
      throw new Error("The model returns NaN: its weights are damaged.");
    }
    return { clips, frames: outputs.frame_probabilities?.data };
  }
  return { run, about, nClasses };
}

// The bytes of a file; an Error that names it if it cannot be loaded.
async function download(url, options, report = () => {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error(`${url} could not be loaded, or is not what it should be.`);
  }
  if (!response.ok) {
    throw new Error(`${url} could not be loaded: status ${response.status}.`);
  }
  const size = Number(response.headers.get("Content-Length"));
  const parts = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    loaded += value.length;
    if (size) report(loaded / size);
  }
}

// The timeline of samples of any length; null if another message has come.
async function analyze(samples, { run, about, nClasses }, id, report) {
  const clipProbs = new Float32Array(nClasses);
  const keepHighest = (clips) =>
    clips.forEach((value, i) => {
      clipProbs[i % nClasses] = Math.max(clipProbs[i % nClasses], value);
    });
  const steps = about.steps
    ? frameSteps(samples, run, about, keepHighest)
    : windowSteps(samples, run, about, keepHighest);
  let progress;
  while (!(progress = await steps.next()).done) {
    report(progress.value);
    await new Promise((resolve) => setTimeout(resolve)); // messages come in
    if (id !== current) return null;
  }
  const timeline = progress.value;
  return {
    ...timeline,
    peaks: classPeaks(timeline.probs, nClasses),
    clipProbs,
    duration: samples.length / about.sample_rate,
  };
}

// Probabilities of windows, and of the file in pieces of the maximum length.
// Yields the share that is done.
async function* windowSteps(samples, run, about, keepHighest) {
  const { sample_rate, max_samples } = about;
  const { size, hop } = timelineGrid(about);
  const cut = (length) => (start) => samples.subarray(start, start + length);
  const pieces = windowStarts(samples.length, max_samples, max_samples);
  const starts = windowStarts(samples.length, size, hop);
  const total = pieces.length * max_samples + starts.length * size;
  let done = 0;
  const atATime = (length) =>
    Math.max(Math.floor((BATCH_SECONDS * sample_rate) / length), 1);
  for (const batch of batches(pieces, atATime(max_samples))) {
    keepHighest((await run(batch.map(cut(max_samples)))).clips);
    done += batch.length * max_samples;
    yield done / total;
  }
  const probs = new Float32Array(starts.length * about.labels.length);
  let filled = 0;
  for (const batch of batches(starts, atATime(size))) {
    const { clips } = await run(batch.map(cut(size)));
    probs.set(clips, filled);
    filled += clips.length;
    done += batch.length * size;
    yield done / total;
  }
  const centre = Math.min(size, samples.length) / 2;
  const times = starts.map((start) => (start + centre) / sample_rate);
  return { times, probs, window: size / sample_rate };
}

// Probabilities of time steps, of pieces that fade into each other.
async function* frameSteps(samples, run, about, keepHighest) {
  const pieces = framePieces(samples.length, about);
  const found = [];
  for (const { start, end, first } of pieces) {
    const { clips, frames } = await run([samples.subarray(start, end)]);
    keepHighest(clips);
    found.push({ first, probs: frames });
    yield found.length / pieces.length;
  }
  const nClasses = about.labels.length;
  const probs = joinPieces(found, nClasses);
  const { first_seconds, step_samples, mean_seconds } = about.steps;
  const times = Array.from(
    { length: probs.length / nClasses },
    (_, i) => first_seconds + (i * step_samples) / about.sample_rate,
  );
  return { times, ...smooth(times, probs, nClasses, mean_seconds) };
}
