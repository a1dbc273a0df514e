// Reads audio files and the microphone as mono samples.

export const KEPT_SECONDS = 600; // at the end of a recording
export const MIN_SECONDS = 0.025;
const LEVEL_RANGE = 60; // decibels that the level of the microphone shows
const SILENCE = 1e-4; // audio without a sample of this level is silent

// Decodes a file to mono samples [S] at a sampling rate; throws an Error if it
// is not audio.
export async function decode(file, rate) {
  let audio;
  try {
    // An offline context resamples to its own rate
    const context = new OfflineAudioContext(1, 1, rate);
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name} is not audio that this browser can read, or is too long for its memory. Try WAV, MP3 or FLAC, or a shorter part.`,
    );
  }
  if (audio.duration < MIN_SECONDS) {
    throw new Error(`${file.name} is shorter than 25 ms.`);
  }
  const mono = new Float32Array(audio.length);
  for (let channel = 0; channel < audio.numberOfChannels; channel++) {
    audio.getChannelData(channel).forEach((value, i) => {
      mono[i] += value / audio.numberOfChannels;
    });
  }
  if (!mono.every(Number.isFinite)) {
    throw new Error(
      `${file.name} holds NaN or infinite samples: the program that wrote it failed.`,
    );
  }
  return mono;
}

export function isSilent(samples) {
  return samples.every((value) => Math.abs(value) < SILENCE);
}

// Resamples to so many samples at another sampling rate.
async function resample(samples, from, to, length) {
  const context = new OfflineAudioContext(1, length, to);
  const source = context.createBufferSource();
  source.buffer = new AudioBuffer({ length: samples.length, sampleRate: from });
  source.buffer.copyToChannel(samples, 0);
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

// Records the microphone until `stop`.
export class Recorder {
  blocks = [];
  length = 0; // of the blocks, in samples
  heard = 0; // all samples so far, including dropped ones

  // Asks for the microphone; throws an Error that says why it is unavailable.
  static async start() {
    const recorder = new Recorder();
    if (!navigator.mediaDevices) {
      throw new Error(
        "Browsers allow the microphone only on pages from https or from this machine.",
      );
    }
    try {
      recorder.stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          echoCancellation: false,
          noiseSuppression: false,
          autoGainControl: false,
        },
      });
    } catch (error) {
      throw new Error(
        error.name === "NotAllowedError"
          ? "Access to the microphone was denied. Allow it in the browser's settings for this page."
          : "No microphone is available.",
      );
    }
    recorder.context = new AudioContext();
    await recorder.context.audioWorklet.addModule("recorder.js");
    const node = new AudioWorkletNode(recorder.context, "recorder");
    node.port.onmessage = ({ data }) => recorder.add(data);
    recorder.context.createMediaStreamSource(recorder.stream).connect(node);
    return recorder;
  }

  get rate() {
    return this.context.sampleRate;
  }

  // Of the last block, from 0 for LEVEL_RANGE decibels below full scale to 1.
  get level() {
    const peak = this.blocks.at(-1)?.reduce(
      (most, value) => Math.max(most, Math.abs(value)),
      0,
    );
    return peak ? Math.max(1 + (20 * Math.log10(peak)) / LEVEL_RANGE, 0) : 0;
  }

  add(block) {
    this.blocks.push(block);
    this.length += block.length;
    this.heard += block.length;
    while (this.length - this.blocks[0].length > KEPT_SECONDS * this.rate) {
      this.length -= this.blocks.shift().length;
    }
  }

  // How many samples at a rate there were so far.
  heardAt(rate) {
    return Math.floor((this.heard * rate) / this.rate);
  }

  // The samples from one position to another at a rate; they must be kept still.
  async read(begin, end, rate) {
    const first = Math.round((begin * this.rate) / rate);
    const stop = Math.min(Math.round((end * this.rate) / rate), this.heard);
    const samples = new Float32Array(stop - first);
    let place = this.heard; // of the end of a block
    for (let i = this.blocks.length - 1; place > first; i--) {
      const block = this.blocks[i];
      place -= block.length;
      const part = block.subarray(
        Math.max(first - place, 0),
        Math.max(stop - place, 0),
      );
      samples.set(part, Math.max(place - first, 0));
    }
    return resample(samples, this.rate, rate, end - begin);
  }

  // Seconds of the whole recording, and of its end, which is kept.
  get seconds() {
    return { heard: this.heard / this.rate, kept: this.length / this.rate };
  }

  // Ends the recording; returns it as a WAV file.
  stop(name) {
    this.stream.getTracks().forEach((track) => track.stop());
    this.context.close();
    return wavFile(name, this.blocks, this.length, this.rate);
  }
}

// A WAV file of 16-bit mono samples.
function wavFile(name, blocks, length, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, word) =>
    [...word].forEach((letter, i) => {
      header.setUint8(at + i, letter.charCodeAt());
    });
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // bytes of the format
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // channels
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true); // bytes per second
  header.setUint16(32, 2, true); // bytes per sample
  header.setUint16(34, 16, true); // bits per sample
  text(36, "data");
  header.setUint32(40, 2 * length, true);
  const samples = blocks.map((block) =>
    Int16Array.from(block, (value) =>
      Math.round(32767 * Math.max(-1, Math.min(value, 1))),
    ),
  );
  return new File([header, ...samples], name, { type: "audio/wav" });
}
