// The page of a review: plays a candidate, and sends the answer.

import { drawSpectrogram, formatTime, makeSpectrogram } from "./draw.js";
import { element, find } from "./elements.js";

const KEYS = 9; // classes that have a number; background has 0
const player = find("player");
const context = new OfflineAudioContext(1, 1, 48000); // decodes only
let candidate = null; // that is shown
let clip = null; // its spectrogram and length in seconds
let isBusy = true; // until the candidate is shown: a key is for what was heard

async function readJson(path, content) {
  const options = content && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  };
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Error("fftp-tag review has ended: start it again to go on.");
  }
  const found = await reply.json();
  if (!reply.ok) throw new Error(found.error);
  return found;
}

// Sends something, if nothing else is being done, and shows the next candidate.
async function send(path, content) {
  if (isBusy) return;
  isBusy = true;
  try {
    await show(await readJson(path, content));
  } catch (error) {
    showError(error);
  } finally {
    isBusy = false;
  }
}

function showError(error) {
  find("error").textContent = error.message;
  find("error").hidden = false;
}

const answer = (kind, label = "") =>
  candidate && send("answer", { number: candidate.number, answer: kind, label });

async function show(state) {
  find("error").hidden = true;
  find("progress").textContent =
    `${state.heard} answered, ${state.left} left in this order`;
  fill("order", state.orders, state.order);
  fill("asked", ["", ...state.asked], state.label ?? "");
  find("undo").disabled = state.heard === 0;
  showClasses(state.labels);
  candidate = state.candidate;
  find("candidate").hidden = !candidate;
  find("status").textContent = candidate
    ? ""
    : "There is nothing left to hear, or the time is over: choose another order or class, or press Done.";
  player.pause();
  if (candidate) await showCandidate();
}

function fill(id, values, chosen) {
  const options = values.map((value) => {
    const option = element("option", value || "all");
    option.value = value;
    return option;
  });
  find(id).replaceChildren(...options);
  find(id).value = chosen;
}

function showClasses(labels) {
  const others = labels.slice(0, KEYS).map((label, n) => [n + 1, label]);
  const buttons = [...others, [0, "background"]].map(([key, label]) => {
    const button = element("button", `${label} `, element("kbd", String(key)));
    button.type = "button";
    button.dataset.key = key;
    button.onclick = () => answer("other", label);
    return button;
  });
  find("others").replaceChildren(...buttons);
  const names = [...labels, "background"].map((label) => {
    const option = element("option");
    option.value = label;
    return option;
  });
  find("names").replaceChildren(...names);
}

async function showCandidate() {
  const { label, recording, start, end, probability, threshold } = candidate;
  const kind = candidate.is_event ? "event" : "no event";
  find("question").textContent = `Is this ${label}?`;
  find("where").textContent =
    `${recording}, ${formatTime(start, 1)} – ${formatTime(end, 1)}, ` +
    `probability ${probability.toFixed(3)} (${kind}; threshold ${threshold.toFixed(3)})`;
  find("question").focus({ preventScroll: true });
  clip = null;
  const reply = await fetch(`clips/${candidate.number}.wav`);
  if (!reply.ok) throw new Error((await reply.json()).error);
  const content = await reply.blob();
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(content);
  play();
  const audio = await context.decodeAudioData(await content.arrayBuffer());
  const samples = audio.getChannelData(0);
  const spectrogram = makeSpectrogram(samples, audio.sampleRate);
  clip = { spectrogram, seconds: audio.duration };
  draw();
}

function draw() {
  if (!clip) return;
  const share = (time) => `${(100 * time) / clip.seconds}%`;
  drawSpectrogram(find("spectrogram"), clip.spectrogram, clip.seconds);
  find("mark").style.left = share(candidate.start - candidate.from);
  find("mark").style.width = share(
    Math.min(candidate.end - candidate.from, clip.seconds) - (candidate.start - candidate.from),
  );
  moveCursor();
}

function moveCursor() {
  if (clip) {
    const share = Math.min(player.currentTime / clip.seconds, 1);
    find("cursor").style.left = `${100 * share}%`;
  }
  if (!player.paused) requestAnimationFrame(moveCursor);
}

function play() {
  player.currentTime = 0;
  // A browser may want a first key or click before it plays anything
  player.play().catch(() => {});
}

async function end() {
  try {
    await readJson("done", {});
  } catch (error) {
    showError(error);
    return;
  }
  isBusy = true;
  player.pause();
  find("candidate").hidden = true;
  find("status").textContent =
    "Done: the terminal shows what was heard, and what to do next. This page can be closed.";
}

const actions = {
  y: () => answer("yes"),
  n: () => answer("no"),
  s: () => answer("skip"),
  u: () => send("undo", {}),
  " ": play,
};

document.onkeydown = (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (target.closest("input, select")) return;
  if (key === " " && target.closest("button, audio")) return;
  const button = document.querySelector(`#others [data-key="${CSS.escape(key)}"]`);
  if (!actions[key] && !button) return;
  event.preventDefault();
  if (actions[key]) actions[key]();
  else button.click();
};
for (const [id, key] of Object.entries({
  yes: "y", no: "n", skip: "s", undo: "u", play: " ",
})) {
  find(id).onclick = actions[key];
}
find("done").onclick = end;
find("other").onsubmit = (event) => {
  event.preventDefault();
  const label = find("name").value.trim();
  find("name").value = "";
  if (label) answer("other", label);
};
find("settings").onchange = () =>
  send("choose", {
    order: find("order").value,
    label: find("asked").value || null,
  });
find("settings").onsubmit = (event) => event.preventDefault();
player.onplay = moveCursor;
window.onresize = draw;

isBusy = false;
send("state");
