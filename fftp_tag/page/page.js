// The page: dropped, chosen and recorded files, their list, and downloads.

import { KEPT_SECONDS, Recorder, decode, isSilent } from "./audio.js";
import { formatTime, makeSpectrogram } from "./draw.js";
import { element, find } from "./elements.js";
import { download, loadModel, readJson } from "./model.js";
import { save, toAudacity, toCsv, toJson } from "./outputs.js";
import {
  glance,
  currentRules,
  hideResult,
  showLiveEvent,
  showResult,
  showTags,
  summarize,
} from "./results.js";
import { Stream } from "./stream.js";
import { analyze } from "./timeline.js";

const LIVE_PAUSE = 100; // milliseconds between looks at the microphone

// All files so far: {file, notice, state, result, error, row}. The state is
// waiting, working, done, failed or cancelled.
const entries = [];
let current = null; // the entry that is shown
let work = null; // the AbortController of the current work
let follows = false; // whether to show the next file that is done
let recorder = null;
let nRecordings = 0;
const model = load(); // a promise

// Loads the model: its metadata (`about`), and a function that runs it.
async function load() {
  const [about, settings] = await Promise.all(
    ["model.json", "page.json"].map(readJson),
  );
  showKnowledge(about);
  if (settings.example) showExample(settings.example);
  const run = await loadModel(settings, (share) =>
    showProgress("Loading the model", share),
  );
  return { about, run };
}

function showKnowledge({ labels, note, rules }) {
  find("note").textContent = note ?? "";
  find("note").hidden = !note;
  const n = labels.length;
  find("known").textContent =
    n === 1
      ? "The sound that this model knows"
      : `The ${n} sounds that this model knows`;
  const names = [...labels].sort((a, b) => a.localeCompare(b));
  find("labels").replaceChildren(...names.map((name) => element("li", name)));
  find("knowledge").hidden = false;
  find("learnt-field").hidden = !rules;
  find("learnt").checked = Boolean(rules);
}

function showExample(name) {
  find("example").hidden = false;
  find("example").onclick = async () => {
    try {
      const bytes = await download(`example/${encodeURIComponent(name)}`);
      addFiles([new File([bytes], name)]);
    } catch (error) {
      showError(error.message);
    }
  };
}

// Files

// Adds files to the queue, and shows the first one when it is tagged. If the
// microphone is on, it is stopped, and its recording is added before them.
function addFiles(files) {
  const added = files.map((file) => ({ file }));
  if (recorder) added.unshift(stopListening());
  for (const entry of added) {
    entry.row = element(
      "button",
      element("span", entry.file.name),
      element("small"),
    );
    entry.row.onclick = () => choose(entry);
    find("files").append(element("li", entry.row));
    entries.push(entry);
    setState(entry, "waiting");
  }
  tagWaiting();
}

const inState = (...states) =>
  entries.filter(({ state }) => states.includes(state));
const isTagging = () => inState("working").length > 0;

function setState(entry, state) {
  entry.state = state;
  entry.row.dataset.state = state;
  entry.row.lastChild.textContent = {
    waiting: () => "waiting",
    working: () => "being tagged …",
    done: () => glance(entry.result),
    failed: () => entry.error,
    cancelled: () => "cancelled: click to tag it",
  }[state]();
  // A list of one file adds nothing to its results
  find("list").hidden = entries.length === 1 && state !== "cancelled";
}

// Shows a file that is done; tags a failed or cancelled file again.
function choose(entry) {
  if (entry.state === "done") {
    if (recorder) addFiles([]);
    else if (!isTagging()) endWork();
    show(entry);
  } else if (["failed", "cancelled"].includes(entry.state)) {
    setState(entry, "waiting");
    addFiles([]);
  }
}

function show(entry) {
  current = entry;
  follows = false;
  for (const { row } of entries) row.ariaCurrent = String(row === entry.row);
  showResult(entry.result);
  const { duration } = entry.result.timeline;
  say(
    `${entry.file.name}, ${formatTime(duration, 1)}: ${glance(entry.result)}.`,
  );
}

async function tagWaiting() {
  follows = true;
  if (isTagging()) return;
  const waiting = inState("waiting");
  const signal = startWork(
    waiting.length === 1
      ? `Tagging ${waiting[0].file.name}`
      : `Tagging ${waiting.length} files`,
  );
  const ended = [];
  for (let entry; (entry = inState("waiting")[0]); ended.push(entry)) {
    setState(entry, "working");
    await tagFile(entry, signal);
    if (signal.aborted) return;
    showDownloads();
    if (follows && entry.state === "done") show(entry);
  }
  endWork();
  const failed = ended.filter(({ state }) => state === "failed");
  if (ended.length > 1) {
    showStatus(
      `${ended.length - failed.length} of ${ended.length} files tagged.`,
    );
  } else if (failed.length) {
    showStatus("");
  }
  if (failed.length === 1) showError(failed[0].error);
  if (failed.length > 1) {
    showError(`${failed.length} files failed: the list shows why.`);
  }
}

async function tagFile(entry, signal) {
  const { file, notice } = entry;
  const others = () => {
    const n = inState("waiting").length;
    return n ? `, ${n} waiting` : "";
  };
  try {
    const { about, run } = await model;
    signal.throwIfAborted();
    showProgress(`Reading ${file.name}${others()}`);
    const samples = await decode(file, about.sample_rate);
    signal.throwIfAborted();
    if (isSilent(samples)) {
      throw new Error(
        `${file.name} is silent. Check the microphone, or choose another file.`,
      );
    }
    const timeline = await analyze(samples, about, run, (share) => {
      signal.throwIfAborted();
      showProgress(`Tagging ${file.name}${others()}`, share);
    });
    const spectrogram = makeSpectrogram(samples, about.sample_rate);
    entry.result = { file, notice, about, timeline, spectrogram };
    setState(entry, "done");
  } catch (error) {
    if (signal.aborted) return;
    entry.error = error.message;
    setState(entry, "failed");
  }
}

// Aborts the current work; returns the abort signal of the new work.
function startWork(text) {
  work?.abort();
  work = new AbortController();
  document.body.classList.add("used");
  find("error").hidden = true;
  find("cancel").hidden = false;
  showProgress(text);
  say(text);
  return work.signal;
}

function endWork() {
  work?.abort();
  work = null;
  // Hiding the focused button would lose the focus
  if (document.activeElement === find("cancel")) find("file").focus();
  find("work").hidden = true;
  find("cancel").hidden = true;
}

function cancel() {
  endWork();
  for (const entry of inState("waiting", "working")) {
    setState(entry, "cancelled");
  }
  showStatus("Cancelled.");
}

// The microphone

async function listen() {
  if (isTagging()) cancel();
  const signal = startWork("Asking for the microphone");
  hideResult();
  if (current) current.row.ariaCurrent = "false";
  try {
    const { about, run } = await model;
    const started = await Recorder.start();
    if (signal.aborted) {
      started.stop("");
      return;
    }
    recorder = started;
    find("record").textContent = "Stop";
    find("record").classList.add("on");
    find("work").hidden = true;
    find("level").hidden = false;
    showStatus(
      `Listening … The last ${KEPT_SECONDS / 60} minutes will be kept.`,
    );
    const rate = about.sample_rate;
    const read = (begin, end) => started.read(begin, end, rate);
    const stream = new Stream(about, run, read, currentRules(about));
    while (!signal.aborted) {
      find("level").value = started.level;
      const before = stream.last;
      const events = await stream.advance(started.heardAt(rate));
      if (signal.aborted) return;
      events.forEach(showLiveEvent);
      if (stream.last > before) showTags(stream.tags, about);
      await new Promise((resolve) => setTimeout(resolve, LIVE_PAUSE));
    }
  } catch (error) {
    if (signal.aborted) return;
    if (recorder) stopListening();
    endWork();
    showStatus("");
    showError(error.message);
  }
}

// Stops the microphone; returns its recording as an entry.
function stopListening() {
  const { heard, kept } = recorder.seconds;
  nRecordings++;
  const file = recorder.stop(`recording ${nRecordings}.wav`);
  recorder = null;
  find("level").hidden = true;
  find("record").textContent = "Use the microphone";
  find("record").classList.remove("on");
  const notice =
    heard > kept
      ? `The recording was ${formatTime(heard, 0)} long. Only its last ${formatTime(kept, 0)} are kept and tagged.`
      : null;
  return { file, notice };
}

// Status

function showStatus(text) {
  find("status").textContent = text;
  find("status").className = "";
}

// Announces to screen readers what the page shows elsewhere.
function say(text) {
  showStatus(text);
  find("status").className = "spoken";
}

function showError(text) {
  find("error").textContent = text;
  find("error").hidden = false;
}

// Shows a progress bar, which is indeterminate without a share.
function showProgress(text, share) {
  find("work").hidden = false;
  find("doing").textContent = text;
  if (share === undefined) find("progress").removeAttribute("value");
  else find("progress").value = share;
}

// Downloads

function showDownloads() {
  const n = inState("done").length;
  const extent = n > 1 ? ` of ${n} files` : "";
  find("csv").textContent = `CSV${extent}`;
  find("json").textContent = `JSON${extent}`;
  find("audacity").textContent =
    n > 1 ? "Audacity labels of this file" : "Audacity labels";
}

// Saves the tags and events of all files, as text made by a function.
function saveAll(toText, extension, type) {
  const ended = inState("done", "failed");
  const name = ended.length > 1 ? "results" : current.file.name;
  const results = ended.map(({ state, file, error, result }) =>
    state === "done" ? summarize(result) : { file: file.name, error },
  );
  save(`${name}.${extension}`, toText(results), type);
}

// Controls

find("file").onchange = () => {
  const files = [...find("file").files];
  find("file").value = ""; // so that the same file can be chosen again
  if (files.length) addFiles(files);
};
find("record").onclick = () => (recorder ? addFiles([]) : listen());
find("cancel").onclick = cancel;
find("csv").onclick = () => saveAll(toCsv, "csv", "text/csv");
find("json").onclick = () => saveAll(toJson, "json", "application/json");
find("audacity").onclick = () => {
  const { file, events } = summarize(current.result);
  save(`${file}.txt`, toAudacity(events), "text/plain");
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
};
document.ondragleave = ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dragging");
};
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const files = [...event.dataTransfer.files];
  if (files.length) addFiles(files);
};

showProgress("Loading the model");
model.then(
  () => {
    if (!work) find("work").hidden = true;
  },
  (error) => {
    if (!work) find("work").hidden = true;
    showError(error.message);
  },
);
