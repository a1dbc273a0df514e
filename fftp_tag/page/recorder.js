// Sends the samples of the microphone to the page, in blocks of about 0.1 s.

const SIZE = 4096;

class Recorder extends AudioWorkletProcessor {
  block = new Float32Array(SIZE);
  filled = 0;

  process([[samples]]) {
    if (samples) {
      this.block.set(samples, this.filled);
      this.filled += samples.length;
      if (this.filled === SIZE) {
        this.port.postMessage(this.block);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
