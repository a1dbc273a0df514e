// The model in its worker, as functions that return promises.

export class Model {
  answers = new Map(); // functions that take an answer, by the id of a message
  lastId = 0;

  // `report` is called with the share of loading or analysing that is done.
  constructor(report) {
    this.report = report;
    this.ready = this.load();
  }

  async load() {
    const [about, runtime] = await Promise.all(
      ["model.json", "runtime.json"].map(read),
    );
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.receive(data);
    this.worker.onerror = ({ message }) => {
      const error = `The worker has failed: ${message || "it could not be loaded."}`;
      for (const id of this.answers.keys()) this.receive({ id, error });
    };
    await this.ask({ about, runtime });
    this.about = about;
    return this;
  }

  // The timeline of samples; null if something else was asked meanwhile.
  analyze(samples) {
    return this.ask({ samples });
  }

  // The probabilities of a short clip.
  tag(clip) {
    return this.ask({ clip });
  }

  ask(message) {
    const id = ++this.lastId;
    // What was asked before is not answered any more
    for (const resolve of this.answers.values()) resolve({ result: null });
    this.answers.clear();
    return new Promise((resolve, reject) => {
      this.answers.set(id, ({ result, error }) => {
        if (error) reject(new Error(error));
        else resolve(result);
      });
      this.worker.postMessage({ ...message, id });
    });
  }

  receive({ id, progress, ...answer }) {
    if (!this.answers.has(id)) return;
    if (progress !== undefined) {
      this.report(progress);
    } else {
      this.answers.get(id)(answer);
      this.answers.delete(id);
    }
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
