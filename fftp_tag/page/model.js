// Loads the model and runs it with ONNX Runtime.

// Returns a function that runs the model. The first argument is the page's
// settings; `report` gets the fraction that is loaded.
export async function loadModel({ runtime, integrity }, report) {
  const [script, wasm] = await Promise.all(
    Object.keys(integrity).map((name) =>
      download(runtime + name, { integrity: integrity[name] }),
    ),
  );
  const code = new Blob([script], { type: "text/javascript" });
  const ort = await import(URL.createObjectURL(code));
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = true; // in a worker, so that the page stays usable
  const file = await download("model.onnx", {}, report);
  const session = await ort.InferenceSession.create(file);
  const names = session.outputNames.filter((name) =>
    ["probabilities", "frame_probabilities", "next_state"].includes(name),
  );
  const state = session.inputMetadata.find(({ name }) => name === "state");

  // Probabilities of samples and, if the model has them, along time, and its next
  // state; without one, the samples are the first. What is given is transferred
  // to the worker and cannot be used afterwards.
  return async (samples, before) => {
    const nSamples = samples.length;
    const inputs = { wavs: new ort.Tensor("float32", samples, [1, nSamples]) };
    if (state) {
      const [, channels, tokens] = state.shape;
      const values = before ?? new Float32Array(channels * tokens);
      const shape = [1, channels, tokens];
      inputs.state = new ort.Tensor("float32", values, shape);
    }
    const found = await session.run(inputs, names);
    const clip = found.probabilities.data;
    if (!clip.every(Number.isFinite)) {
      throw new Error("The model returns NaN: its weights are damaged.");
    }
    const frames = found.frame_probabilities?.data;
    return { nSamples, clip, frames, state: found.next_state?.data };
  };
}

export async function readJson(name) {
  return JSON.parse(new TextDecoder().decode(await download(name)));
}

// Returns the bytes of a file; throws an Error that names it if loading fails.
export async function download(url, options, report = () => {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error(
      `${url} could not be loaded, or is not the expected file. This page needs ` +
        "a network, unless it was made with the option --runtime.",
    );
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
