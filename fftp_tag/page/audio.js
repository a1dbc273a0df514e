// Reads audio files and the microphone as mono samples, and plays parts.

const KEPT_SECONDS = 600; // of a recording: its end
const MIN_SECONDS = 0.025;
const SILENCE = 2 ** -15; // below the last bit of 16-bit audio

// The samples of a file [S] at a sampling rate; an Error if it is not audio.
export async function decode(file, rate) {
  let audio;
  try {
    // An offline context resamples to its own rate
    const context = new OfflineAudioContext(1, 1, rate);
    audio = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(
      `${file.name} is not audio that this browser can read. Try WAV, MP3 or FLAC.`,
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
  return mono;
}

export function isSilent(samples) {
  return samples.every((value) => Math.abs(value) < SILENCE);
}

// Samples at another rate.
async function resample(samples, from, to) {
  const length = Math.max(Math.round((samples.length * to) / from), 1);
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

  // Asks for the microphone; an Error that says why there is none.
  static async start() {
    const recorder = new Recorder();
    if (!navigator.mediaDevices) {
      throw new Error(
        "The browser lends the microphone only to pages from https or from this machine.",
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
          ? "The microphone was refused. Allow it in the browser's settings of this page."
          : "There is no microphone that can be used.",
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

  add(block) {
    this.blocks.push(block);
    this.length += block.length;
    while (this.length - this.blocks[0].length > KEPT_SECONDS * this.rate) {
      this.length -= this.blocks.shift().length;
    }
  }

  // The last seconds, at a sampling rate; null before there are so many.
  async last(seconds, rate) {
    const needed = Math.round(seconds * this.rate);
    if (this.length < needed) return null;
    const samples = new Float32Array(needed);
    let end = needed;
    for (let i = this.blocks.length - 1; end > 0; i--) {
      const part = this.blocks[i].slice(-end);
      end -= part.length;
      samples.set(part, end);
    }
    return resample(samples, this.rate, rate);
  }

  // Ends the recording; returns it as a WAV file.
  stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.context.close();
    return wavFile(this.blocks, this.length, this.rate);
  }
}

// A WAV file of 16-bit mono samples.
function wavFile(blocks, length, rate) {
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
  return new File([header, ...samples], "recording.wav", { type: "audio/wav" });
}
