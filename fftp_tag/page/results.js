// Shows the tags, pictures and events of a file, and plays events.

import {
  drawSpectrogram,
  drawTimeline,
  formatTime,
  frequencyTicks,
  highestClasses,
} from "./draw.js";
import { element, find, spoken } from "./elements.js";
import { findEvents, rankTags } from "./events.js";

const TAGS = 5;
const LOW = 0.5; // of events, if the model has no rules
const GLANCE = 3; // tags in the list of files
const CLASSES = 8; // of the timeline
const MOST_EVENTS = 500; // in the list
const LIVE_EVENTS = 20; // of the microphone, in the list
const TOLERANCE = 0.5; // seconds that a file may be shorter than it states

const player = find("player");

let shown = null; // the result, see `showResult`
let stopAt = Infinity; // end of the event that is played

// Shows a result: the file, the model's metadata (`about`), the timeline, the
// spectrogram, and a notice if only a part was tagged.
export function showResult(result) {
  shown = result;
  const { file, about, timeline, notice } = result;
  player.pause();
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
  find("clip").hidden = false;
  find("live").hidden = true;
  find("name").textContent = file.name;
  showNotice(notice);
  find("frequencies").replaceChildren(
    ...frequencyTicks(about.sample_rate).map(({ hertz, top }) => {
      const tick = element("span", `${hertz}`);
      tick.style.top = `${100 * top}%`;
      return tick;
    }),
    element("small", "Hz"),
  );
  find("spectrogram").ariaLabel =
    `Spectrogram, 0 to ${about.sample_rate / 2} hertz, ${formatTime(timeline.duration, 1)} long`;
  showEvents();
  drawSpectrogram(find("spectrogram"), result.spectrogram, timeline.duration);
}

function showNotice(text) {
  find("notice").textContent = text ?? "";
  find("notice").hidden = !text;
}

// Browsers read only the beginning of damaged files.
player.onloadedmetadata = () => {
  const stated = player.duration;
  const read = shown?.timeline.duration;
  if (Number.isFinite(stated) && stated > read + TOLERANCE) {
    showNotice(
      `The file should be ${formatTime(stated, 0)} long, but only its first ${formatTime(read, 0)} can be read. It may be damaged.`,
    );
  }
};

export function hideResult() {
  shown = null;
  player.pause();
  for (const id of ["heard", "clip", "live"]) find(id).hidden = true;
  find("live-events").replaceChildren();
}

// Shows the most probable tags. Tags that reach their threshold are bold, and
// take precedence over other tags; events are of such classes.
export function showTags(probs, about) {
  const { labels } = about;
  const found = rankTags(probs, labels, TAGS, currentRules(about).threshold);
  const isFound = new Set(found.map(({ label }) => label));
  const others = rankTags(probs, labels, TAGS + found.length).filter(
    ({ label }) => !isFound.has(label),
  );
  const tags = [...found, ...others]
    .slice(0, TAGS)
    .sort((a, b) => b.probability - a.probability);
  find("tags").replaceChildren(
    ...tags.map(({ label, probability }) => {
      const bold = isFound.has(label);
      const meter = element("meter");
      meter.value = probability;
      meter.ariaHidden = "true"; // the percentage says the same
      return element(
        "li",
        element("span", element(bold ? "strong" : "span", label)),
        element("span", percent(probability), spoken(bold ? ", found" : "")),
        meter,
      );
    }),
  );
  const hints = [];
  if (labels.length > tags.length) {
    hints.push(`The ${tags.length} most probable of ${labels.length} sounds.`);
  }
  hints.push("Bold tags reach their threshold.");
  find("tags-hint").textContent = hints.join(" ");
  find("heard").hidden = false;
}

// Shows an event of the microphone: when it begins, with the end null, at the top of
// the list, and again when it has ended.
export function showLiveEvent({ start, end, label, probability }) {
  const list = find("live-events");
  const rows = [...list.children];
  let row = rows.find(({ dataset }) => dataset.ongoing === label);
  if (!row) {
    row = element("li");
    list.prepend(row);
    rows.slice(LIVE_EVENTS - 1).forEach((old) => old.remove());
  }
  const until = end === null ? "…" : `– ${formatTime(end, 1)}`;
  row.replaceChildren(
    element("span", `${formatTime(start, 1)} ${until}`),
    element(end === null ? "strong" : "span", label),
    element("span", probability.toFixed(2)),
  );
  if (end === null) row.dataset.ongoing = label;
  else delete row.dataset.ongoing;
  find("live").hidden = false;
}

// The tags of a file as one line of text.
export function glance({ about, timeline }) {
  const { labels, rules } = about;
  const tags = rankTags(timeline.clipProbs, labels, GLANCE, rules?.threshold);
  const texts = tags.map((tag) => `${tag.label} ${percent(tag.probability)}`);
  return texts.join(" · ") || "no tags";
}

// The tags and events of a file for downloads.
export function summarize({ file, about, timeline }) {
  const learnt = find("learnt").checked ? about.rules.threshold : null;
  return {
    file: file.name,
    tags: rankTags(timeline.clipProbs, about.labels, TAGS, learnt),
    events: findEvents(timeline, currentRules(about)),
  };
}

const percent = (probability) => `${Math.round(100 * probability)}%`;

// The current rules: the model's, or with the slider's threshold; events last as
// long as by the model's rules.
export function currentRules({ labels, rules }) {
  const is_learnt = Boolean(rules);
  if (find("learnt").checked) return { ...rules, is_learnt };
  const threshold = labels.map(() => find("threshold").valueAsNumber);
  const low = threshold.map((p, c) => Math.min(rules?.low[c] ?? LOW, p));
  return { ...rules, threshold, low, high: threshold, is_learnt };
}

function showEvents() {
  if (!shown) return;
  const { timeline, about } = shown;
  const learnt = find("learnt").checked;
  find("threshold").disabled = learnt;
  showTags(timeline.clipProbs, about);
  const rules = currentRules(about);
  const lowest = Math.min(...rules.high).toFixed(2);
  const highest = Math.max(...rules.high).toFixed(2);
  find("threshold-value").textContent =
    lowest === highest ? lowest : `${lowest}–${highest}`;
  shown.events = findEvents(timeline, rules);
  find("events").replaceChildren(
    ...shown.events.slice(0, MOST_EVENTS).map((event) => {
      const { start, end, label, probability } = event;
      const button = element(
        "button",
        element("span", `${formatTime(start, 2)} – ${formatTime(end, 2)}`),
        element("span", label),
        element("span", probability.toFixed(2)),
      );
      if (learnt) {
        const threshold = rules.high[about.labels.indexOf(label)];
        button.append(element("small", `threshold ${threshold.toFixed(2)}`));
      }
      button.title = "Play this part";
      button.onclick = () => play(event);
      return element("li", button);
    }),
  );
  const n = shown.events.length;
  find("event-count").textContent =
    n === 0
      ? "No events."
      : n > MOST_EVENTS
        ? `The first ${MOST_EVENTS} of ${n} events; downloads contain all events.`
        : `${n} ${n === 1 ? "event" : "events"}. Click an event to hear it.`;
  showTimeline();
}

function showTimeline() {
  const { timeline, events } = shown;
  const classes = highestClasses(timeline, CLASSES);
  drawTimeline(find("timeline"), timeline, events, classes);
  const { labels, peaks } = timeline;
  const texts = classes.map((c) => `${labels[c]} ${percent(peaks[c])}`);
  find("timeline").ariaLabel =
    `Probabilities over time, with peaks: ${texts.join(", ")}. The list below has the events.`;
  find("timeline-hint").textContent =
    classes.length < labels.length
      ? `The ${classes.length} sounds with the highest peaks, of ${labels.length}. Lines below the bars are events.`
      : "Lines below the bars are events.";
}

function redraw() {
  if (!shown) return;
  const { spectrogram, timeline } = shown;
  drawSpectrogram(find("spectrogram"), spectrogram, timeline.duration);
  showTimeline();
}

// Playing

function play({ start, end }) {
  player.currentTime = start;
  stopAt = end;
  player.play();
}

function followPlayer() {
  if (player.currentTime >= stopAt) player.pause();
  const share = shown ? player.currentTime / shown.timeline.duration : 0;
  find("cursor").hidden = share === 0; // it would strike through "0:00"
  find("cursor").style.left = `${100 * Math.min(share, 1)}%`;
}

// In a background tab, there are no animation frames but these updates.
player.ontimeupdate = followPlayer;
player.onpause = () => {
  stopAt = Infinity;
};
player.onseeking = () => {
  if (player.currentTime > stopAt) stopAt = Infinity; // by the player's controls
};
requestAnimationFrame(function repeat() {
  followPlayer();
  requestAnimationFrame(repeat);
});

// Controls

find("threshold").oninput = showEvents;
find("learnt").oninput = showEvents;
find("pictures").onclick = ({ offsetX, currentTarget }) => {
  stopAt = Infinity;
  player.currentTime =
    (offsetX / currentTarget.clientWidth) * shown.timeline.duration;
};
find("events").onkeydown = (event) => {
  const row = document.activeElement.closest("li");
  const next = { ArrowDown: row?.nextSibling, ArrowUp: row?.previousSibling }[
    event.key
  ];
  if (!next) return;
  event.preventDefault();
  next.firstChild.focus();
};
let resizing; // a timer: pictures are redrawn when resizing has ended
window.onresize = () => {
  clearTimeout(resizing);
  resizing = setTimeout(redraw, 100);
};
matchMedia("(prefers-color-scheme: dark)").onchange = redraw;
