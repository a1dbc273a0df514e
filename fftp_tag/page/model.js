// Loads the model and runs it with ONNX Runtime.

// What the model is, and a function that runs it. `report` is called with the
// share of the model that is loaded.
export async function loadModel(report) {
  const about = await readJson("model.json");
  const { folder, integrity } = await readJson("runtime.json");
  const [script, wasm] = await Promise.all(
    Object.keys(integrity).map((name) =>
      download(folder + name, { integrity: integrity[name] }),
    ),
  );
  const code = new Blob([script], { type: "text/javascript" });
  const ort = await import(URL.createObjectURL(code));
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = true; // in a worker, so that the page stays usable
  const file = await download("model.onnx", {}, report);
  const session = await ort.InferenceSession.create(file);
  const names = ["probabilities"];
  if (about.steps) names.push("frame_probabilities");

  // Probabilities of samples, and of their time steps if there are any. The
  // samples move to the worker: they cannot be used any more.
  async function run(samples) {
    const feeds = {
      wavs: new ort.Tensor("float32", samples, [1, samples.length]),
      wav_lens: new ort.Tensor("float32", [1], [1]),
    };
    const [clip, steps] = Object.values(await session.run(feeds, names));
    if (!clip.data.every(Number.isFinite)) {
      throw new Error("The model returns NaN: its weights are damaged.");
    }
    return { clip: clip.data, steps: steps?.data };
  }
  return { about, run };
}

async function readJson(name) {
  return JSON.parse(new TextDecoder().decode(await download(name)));
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
