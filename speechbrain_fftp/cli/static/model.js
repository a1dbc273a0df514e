// The model in its worker, as functions that return promises.

export class Model {
  pending = { id: 0 }; // the last message that was sent

  // `report` is called with the share of the model that is loaded.
  constructor(report) {
    this.ready = this.load(report);
  }

  async load(report) {
    const [about, runtime] = await Promise.all(
      ["model.json", "runtime.json"].map(read),
    );
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = ({ message }) => {
      const error = `The worker has failed: ${message || "it could not be loaded."}`;
      this.receive({ id: this.pending.id, error });
    };
    await this.ask({ about, runtime }, report);
    this.about = about;
    return this;
  }

  // The timeline of samples; null if something else is asked meanwhile. `report`
  // is called with the share that is done.
  analyze(samples, report) {
    return this.ask({ samples }, report);
  }

  // The probabilities of a short clip.
  tag(clip) {
    return this.ask({ clip });
  }

  ask(message, report) {
    this.pending.resolve?.(null); // what was asked before
    const id = this.pending.id + 1;
    return new Promise((resolve, reject) => {
      this.pending = { id, resolve, reject, report };
      this.worker.postMessage({ ...message, id });
    });
  }

  receive({ id, progress, result, error }) {
    if (id !== this.pending.id) return;
    if (progress !== undefined) this.pending.report(progress);
    else if (error) this.pending.reject(new Error(error));
    else this.pending.resolve(result);
  }
}

async function read(name) {
  const response = await fetch(name).catch(() => null);
  if (!response?.ok) {
    throw new Error(
      `${name} could not be loaded: write this folder again with "fftp-tag page".`,
    );
  }
  return response.json();
}
