// Finds events in a stream of samples, as they begin and end: fftp_tag/tag/live.py in
// JavaScript. When the model runs, and on which samples, is in model.json (`live`).

import { MIN_SECONDS } from "./audio.js";
import { EventFinder, highest } from "./events.js";
import { Join } from "./timeline.js";

const RECENT = 3; // runs whose tags are shown, so that they do not flicker

export class Stream {
  last = 0; // end of the samples that the model has heard
  recent = []; // probabilities of the last runs
  state = undefined;
  // Of the last prediction, which extends halfway to the next one
  start = 0;
  centre = 0;
  probs = null;

  // `about` is the model's metadata, `run` runs the model, and `read` gives the
  // samples from one position to another.
  constructor(about, run, read, rules) {
    this.about = about;
    this.run = run;
    this.read = read;
    this.finder = new EventFinder(about.labels, rules, true);
    const { frame_level, live } = about;
    this.join = frame_level && new Join(about, live.margin);
    this.due = frame_level
      ? Math.ceil(frame_level.span_samples / live.hop) * live.hop
      : live.size;
  }

  // The events that have begun or ended, once there are samples until a position.
  async advance(end) {
    const events = [];
    // The last window may have to end with the stream
    const until = this.join ? end : end - 1;
    for (; this.due <= until; this.due += this.about.live.hop) {
      events.push(...(await this.look(this.due)));
    }
    return events;
  }

  // The events that end with the stream, at a position.
  async finish(end) {
    const { sample_rate } = this.about;
    const events = await this.advance(end);
    if (end > this.last && end >= MIN_SECONDS * sample_rate) {
      events.push(...(await this.look(end)));
    }
    events.push(...this.add(this.join?.rest ?? []));
    if (this.probs) {
      const until = this.last / sample_rate;
      events.push(...this.finder.push(this.start, until, this.probs));
    }
    return [...events, ...this.finder.finish()];
  }

  // Tags: of each class, the highest of the last probabilities.
  get tags() {
    const nClasses = this.about.labels.length;
    return highest(this.recent.flatMap((probs) => [...probs]), nClasses);
  }

  // Runs the model on what is new, and as much before as it needs.
  async look(end) {
    const begin = this.beginOf(end);
    if (begin === null) return [];
    this.last = end;
    const samples = await this.read(begin, end);
    const found = await this.run(samples, this.state);
    this.state = found.state;
    this.recent = [...this.recent, found.clip].slice(-RECENT);
    return this.add(
      this.join
        ? this.join.push(begin, found)
        : [{ centre: (begin + end) / 2, probs: found.clip }],
    );
  }

  beginOf(end) {
    const { frame_level, live } = this.about;
    if (!frame_level) return Math.max(end - live.size, 0);
    const { span_samples, hop_samples } = frame_level;
    const first = Math.ceil((this.last - live.before) / hop_samples);
    const begin = Math.max(first * hop_samples, 0);
    return begin && end - begin < span_samples ? null : begin;
  }

  add(predictions) {
    const events = [];
    for (const { centre, probs } of predictions) {
      const seconds = centre / this.about.sample_rate;
      if (this.probs) {
        const middle = (this.centre + seconds) / 2;
        events.push(...this.finder.push(this.start, middle, this.probs));
        this.start = middle;
      }
      this.centre = seconds;
      this.probs = probs;
    }
    return events;
  }
}
