// The page: what is dropped, chosen, recorded, clicked and shown.

import { Recorder, decode, isSilent } from "./audio.js";
import { drawSpectrogram, drawTimeline, formatTime } from "./draw.js";
import { findEvents } from "./events.js";
import { save, toAudacity, toCsv, toJson } from "./outputs.js";
import { Model } from "./model.js";

const TAGS = 5;
const ROWS = 8; // classes of the timeline
const MOST_EVENTS = 500; // in the list
const LIVE_SECONDS = 2;
const LIVE_PAUSE = 250; // milliseconds from one look at the microphone to the next

const find = (id) => document.getElementById(id);
const player = find("player");
const model = new Model(showProgress);

let clip = null; // {name, samples, timeline, events} of what is shown
let work = 0; // number of the last file or recording
let recorder = null;
let stopAt = Infinity; // where the event ends that is played

// Files

async function open(file) {
  const own = startWork(`Reading ${file.name} …`);
  try {
    const { about } = await model.ready;
    if (own !== work) return;
    const samples = await decode(file, about.sample_rate);
    if (own !== work) return;
    if (isSilent(samples)) {
      throw new Error(
        `${file.name} is silent. Check the microphone, or choose another file.`,
      );
    }
    showStatus(`Tagging ${file.name} …`);
    const timeline = await model.analyze(samples, (share) => {
      if (own === work) showProgress(share);
    });
    if (own !== work || !timeline) return;
    showClip(file, samples, { ...timeline, labels: about.labels });
    showStatus(`${file.name}, ${formatTime(timeline.duration, 1)}`);
  } catch (error) {
    if (own === work) showError(error.message);
  }
}

// Clears the page for new work, and returns its number.
function startWork(text) {
  work += 1;
  clip = null;
  player.pause();
  for (const id of ["heard", "clip", "error", "progress"])
    find(id).hidden = true;
  showStatus(text);
  showProgress();
  return work;
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

function showClip(file, samples, timeline) {
  clip = { name: file.name, samples, timeline, events: [] };
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  find("clip").hidden = false;
  clip.tags = showTags(timeline.clipProbs, timeline.labels);
  drawSpectrogram(
    find("spectrogram"),
    samples,
    samples.length / timeline.duration,
  );
  showEvents();
}

function showTags(probs, labels) {
  const tags = Array.from(probs, (probability, i) => ({
    label: labels[i],
    probability,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, TAGS);
  find("tags").replaceChildren(
    ...tags.map(({ label, probability }) => {
      const meter = Object.assign(element("meter"), { value: probability });
      meter.ariaLabel = label;
      const percent = element("output", `${Math.round(100 * probability)}%`);
      return element("li", element("span", label), percent, meter);
    }),
  );
  find("heard").hidden = false;
  return tags;
}

function showEvents() {
  const { timeline } = clip;
  const value = find("threshold").valueAsNumber;
  const learned = find("learned").checked;
  find("threshold").disabled = learned;
  const thresholds = learned
    ? model.about.thresholds
    : timeline.labels.map(() => value);
  const low = Math.min(...thresholds).toFixed(2);
  const high = Math.max(...thresholds).toFixed(2);
  find("threshold-value").textContent = low === high ? low : `${low}–${high}`;
  clip.events = findEvents(timeline, thresholds);
  find("events").replaceChildren(
    ...clip.events.slice(0, MOST_EVENTS).map((event) => {
      const { start, end, label, probability } = event;
      const button = element(
        "button",
        element("span", `${formatTime(start, 2)} – ${formatTime(end, 2)}`),
        element("span", label),
        element("span", probability.toFixed(2)),
      );
      if (learned) {
        const threshold = thresholds[timeline.labels.indexOf(label)];
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
      ? "No event reaches this threshold."
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

function play({ start, end }) {
  player.currentTime = start;
  stopAt = end;
  player.play();
}

function redraw() {
  if (!clip) return;
  const { samples, timeline, events } = clip;
  drawSpectrogram(
    find("spectrogram"),
    samples,
    samples.length / timeline.duration,
  );
  drawTimeline(find("timeline"), timeline, events, ROWS);
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
  const own = startWork("Asking for the microphone …");
  try {
    const { about } = await model.ready;
    const started = await Recorder.start();
    if (own !== work) {
      started.stop();
      return;
    }
    recorder = started;
    find("record").textContent = "Stop";
    find("record").classList.add("on");
    showStatus("Listening …");
    const seconds = Math.min(
      LIVE_SECONDS,
      about.max_samples / about.sample_rate,
    );
    while (recorder === started) {
      const samples = await started.last(seconds, about.sample_rate);
      const probs = samples && (await model.tag(samples));
      if (probs && recorder === started) showTags(probs, about.labels);
      await new Promise((resolve) => setTimeout(resolve, LIVE_PAUSE));
    }
  } catch (error) {
    stopListening();
    if (own === work) showError(error.message);
  }
}

// Returns the recording, or null if there is none.
function stopListening() {
  const recording = recorder?.stop() ?? null;
  recorder = null;
  find("record").textContent = "Use the microphone";
  find("record").classList.remove("on");
  return recording;
}

// What users do

find("file").onchange = () => {
  const [file] = find("file").files;
  find("file").value = ""; // so that the same file can be chosen again
  if (!file) return;
  stopListening();
  open(file);
};
find("record").onclick = () => (recorder ? open(stopListening()) : listen());
find("threshold").oninput = showEvents;
find("learned").oninput = showEvents;
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
  if (!file) return;
  stopListening();
  open(file);
};
let resizing; // a timer: pictures are drawn when the size has settled
window.onresize = () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
};
matchMedia("(prefers-color-scheme: dark)").onchange = redraw;

showStatus("Loading the model …");
model.ready.then(
  ({ about }) => {
    const has = Boolean(about.thresholds);
    find("learned-field").hidden = !has;
    find("learned").checked = has;
    if (work === 0) showStatus("");
  },
  (error) => showError(error.message),
);
