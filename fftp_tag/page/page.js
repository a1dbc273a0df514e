// The page: what is dropped, chosen, recorded, clicked and shown.

import { Recorder, decode, isSilent } from "./audio.js";
import { drawSpectrogram, drawTimeline, formatTime } from "./draw.js";
import { findEvents } from "./events.js";
import { loadModel } from "./model.js";
import { save, toAudacity, toCsv, toJson } from "./outputs.js";
import { analyze } from "./timeline.js";

const TAGS = 5;
const ROWS = 8; // classes of the timeline
const MOST_EVENTS = 500; // in the list
const LIVE_SECONDS = 2;
const LIVE_PAUSE = 250; // milliseconds from one look at the microphone to the next

const find = (id) => document.getElementById(id);
const player = find("player");
const model = loadModel(showProgress); // a promise

let clip = null; // {name, samples, timeline, tags, events} of what is shown
let work = null; // the AbortController of the last file or recording
let recorder = null;
let stopAt = Infinity; // where the event ends that is played

// Files

async function open(file) {
  const signal = startWork(`Reading ${file.name} …`);
  try {
    const { about, run } = await model;
    const samples = await decode(file, about.sample_rate);
    signal.throwIfAborted();
    if (isSilent(samples)) {
      throw new Error(
        `${file.name} is silent. Check the microphone, or choose another file.`,
      );
    }
    showStatus(`Tagging ${file.name} …`);
    const timeline = await analyze(samples, about, run, (share) => {
      signal.throwIfAborted();
      showProgress(share);
    });
    showClip(file, samples, timeline, about);
    showStatus(`${file.name}, ${formatTime(timeline.duration, 1)}`);
  } catch (error) {
    if (!signal.aborted) showError(error.message);
  }
}

// Ends the work so far and clears the page; returns the signal that the new
// work has ended in the same way.
function startWork(text) {
  work?.abort();
  work = new AbortController();
  stopListening();
  clip = null;
  player.pause();
  for (const id of ["heard", "clip", "error"]) find(id).hidden = true;
  showStatus(text);
  showProgress();
  return work.signal;
}

function showStatus(text) {
  find("status").textContent = text;
  find("progress").hidden = true;
}

function showError(text) {
  showStatus("");
  find("error").textContent = text;
  find("error").hidden = false;
}

// A bar, that only moves as long as the share is not known.
function showProgress(share) {
  find("progress").hidden = false;
  if (share === undefined) find("progress").removeAttribute("value");
  else find("progress").value = share;
}

// Results

function showClip(file, samples, timeline, about) {
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  find("clip").hidden = false;
  const tags = showTags(timeline.clipProbs, about);
  clip = { name: file.name, samples, timeline, tags, about };
  showEvents();
  drawSpectrogram(find("spectrogram"), samples, about.sample_rate);
}

// Shows the most probable tags; those that reach a learnt threshold are bold.
function showTags(probs, { labels, thresholds }) {
  const order = labels
    .map((_, c) => c)
    .sort((a, b) => probs[b] - probs[a])
    .slice(0, TAGS);
  find("tags").replaceChildren(
    ...order.map((c) => {
      const isFound = thresholds && probs[c] >= Math.fround(thresholds[c]);
      const meter = Object.assign(element("meter"), { value: probs[c] });
      meter.ariaLabel = labels[c];
      return element(
        "li",
        element(isFound ? "strong" : "span", labels[c]),
        element("output", `${Math.round(100 * probs[c])}%`),
        meter,
      );
    }),
  );
  find("heard").hidden = false;
  return order.map((c) => ({ label: labels[c], probability: probs[c] }));
}

function showEvents() {
  const { timeline, about } = clip;
  const value = find("threshold").valueAsNumber;
  const learnt = find("learnt").checked;
  find("threshold").disabled = learnt;
  const thresholds = learnt ? about.thresholds : about.labels.map(() => value);
  const low = Math.min(...thresholds).toFixed(2);
  const high = Math.max(...thresholds).toFixed(2);
  find("threshold-value").textContent = low === high ? low : `${low}–${high}`;
  clip.events = findEvents(timeline, { ...about, thresholds });
  find("events").replaceChildren(
    ...clip.events.slice(0, MOST_EVENTS).map((event) => {
      const { start, end, label, probability } = event;
      const button = element(
        "button",
        element("span", `${formatTime(start, 2)} – ${formatTime(end, 2)}`),
        element("span", label),
        element("span", probability.toFixed(2)),
      );
      if (learnt) {
        const threshold = thresholds[about.labels.indexOf(label)];
        button.append(element("small", `threshold ${threshold.toFixed(2)}`));
      }
      button.title = "Play this part";
      button.onclick = () => play(event);
      return element("li", button);
    }),
  );
  const n = clip.events.length;
  find("event-count").textContent =
    n === 0
      ? "No events."
      : n > MOST_EVENTS
        ? `The first ${MOST_EVENTS} of ${n} events; downloads have all.`
        : "";
  drawTimeline(find("timeline"), timeline, clip.events, ROWS);
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function redraw() {
  if (!clip) return;
  const { samples, timeline, events, about } = clip;
  drawSpectrogram(find("spectrogram"), samples, about.sample_rate);
  drawTimeline(find("timeline"), timeline, events, ROWS);
}

function play({ start, end }) {
  player.currentTime = start;
  stopAt = end;
  player.play();
}

function followPlayer() {
  if (player.currentTime >= stopAt) player.pause();
  const share = clip ? player.currentTime / clip.timeline.duration : 0;
  find("cursor").style.left = `${100 * Math.min(share, 1)}%`;
}

// In the background, the player's own updates are all there is.
player.ontimeupdate = followPlayer;
player.onpause = () => {
  stopAt = Infinity;
};
player.onseeking = () => {
  if (player.currentTime > stopAt) stopAt = Infinity; // by its controls
};
requestAnimationFrame(function repeat() {
  followPlayer();
  requestAnimationFrame(repeat);
});

// The microphone

async function listen() {
  const signal = startWork("Asking for the microphone …");
  try {
    const { about, run } = await model;
    const started = await Recorder.start();
    if (signal.aborted) {
      started.stop();
      return;
    }
    recorder = started;
    find("record").textContent = "Stop";
    find("record").classList.add("on");
    showStatus("Listening …");
    const longest = about.max_samples / about.sample_rate;
    const seconds = Math.min(LIVE_SECONDS, longest);
    while (!signal.aborted) {
      const samples = await started.last(seconds, about.sample_rate);
      const found = samples && (await run(samples));
      if (found && !signal.aborted) showTags(found.clip, about);
      await new Promise((resolve) => setTimeout(resolve, LIVE_PAUSE));
    }
  } catch (error) {
    if (signal.aborted) return;
    stopListening();
    showError(error.message);
  }
}

// Returns the recording, or undefined if there is none.
function stopListening() {
  const recording = recorder?.stop();
  recorder = null;
  find("record").textContent = "Use the microphone";
  find("record").classList.remove("on");
  return recording;
}

// What users do

find("file").onchange = () => {
  const [file] = find("file").files;
  find("file").value = ""; // so that the same file can be chosen again
  if (file) open(file);
};
find("record").onclick = () => (recorder ? open(stopListening()) : listen());
find("threshold").oninput = showEvents;
find("learnt").oninput = showEvents;
find("pictures").onclick = ({ offsetX, currentTarget }) => {
  stopAt = Infinity;
  player.currentTime =
    (offsetX / currentTarget.clientWidth) * clip.timeline.duration;
};
find("csv").onclick = () =>
  save(`${clip.name}.csv`, toCsv(clip.name, clip.events), "text/csv");
find("json").onclick = () =>
  save(
    `${clip.name}.json`,
    toJson(clip.name, clip.tags, clip.events),
    "application/json",
  );
find("audacity").onclick = () =>
  save(`${clip.name}.txt`, toAudacity(clip.events), "text/plain");
find("events").onkeydown = (event) => {
  const row = document.activeElement.closest("li");
  const next = { ArrowDown: row?.nextSibling, ArrowUp: row?.previousSibling }[
    event.key
  ];
  if (!next) return;
  event.preventDefault();
  next.firstChild.focus();
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
};
document.ondragleave = () => document.body.classList.remove("dragging");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
};
let resizing; // a timer: pictures are drawn when the size has settled
window.onresize = () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
};
matchMedia("(prefers-color-scheme: dark)").onchange = redraw;

showStatus("Loading the model …");
model.then(
  ({ about }) => {
    const has = Boolean(about.thresholds);
    find("learnt-field").hidden = !has;
    find("learnt").checked = has;
    if (!work) showStatus("");
  },
  (error) => showError(error.message),
);
