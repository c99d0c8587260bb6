// Where the time of each answer went: a waterfall under it, and the median of all.

const ROWS = [
  // label, from which marks it could begin, the mark that ends it
  ["Words recognised", [], "transcript"],
  ["Sure that you had finished", [], "decided"],
  ["First word of the answer", ["transcript"], "first_token"],
  ["First sound of the answer", ["first_token"], "first_sound"],
  ["Sent", ["decided", "first_sound"], "playback"],
  ["In your ear", ["playback"], "ear"],
];

export function answerTime({ seconds, delay }) {
  return seconds.playback === undefined ? undefined : seconds.playback + (delay ?? 0);
}

export class Pace {
  #times = [];

  add(time) {
    this.#times.push(time);
    this.#times.sort((one, other) => one - other);
  }

  clear() {
    this.#times = [];
  }

  // The smallest time that at least this share of all answers did not exceed.
  quantile(share) {
    return this.#times[Math.max(0, Math.ceil(share * this.#times.length) - 1)];
  }

  toString() {
    const count = this.#times.length;
    if (!count) return "";
    const [half, most] = [this.quantile(0.5), this.quantile(0.95)].map((time) => `${time.toFixed(2)} s`);
    return `p50 ${half} · p95 ${most} · ${count} ${count === 1 ? "answer" : "answers"}`;
  }
}

// A button that says how long the answer took, and opens the waterfall.
export function waterfall(timing) {
  const marks = { ...timing.seconds, ear: answerTime(timing) };
  const rows = ROWS.filter(([, , mark]) => Number.isFinite(marks[mark]));
  const whole = Math.max(...rows.map(([, , mark]) => marks[mark]), 0.001);
  const details = make("details", "waterfall");
  const summary = make("summary", "", `${whole.toFixed(2)} s`);
  summary.setAttribute("aria-label", `Answered after ${whole.toFixed(2)} seconds: show where the time went`);
  const table = make("table");
  table.append(make("caption", "", "Seconds after your last sound"));
  for (const [label, starts, mark] of rows) {
    const begin = Math.max(0, ...starts.map((start) => marks[start] ?? 0));
    const end = Math.max(marks[mark], 0);
    const row = make("tr");
    const bar = make("span", "bar");
    bar.style.setProperty("--from", Math.min(begin, end) / whole);
    bar.style.setProperty("--to", end / whole);
    const track = make("td", "track");
    track.setAttribute("aria-hidden", "true");
    track.append(bar);
    const name = make("th", "", label);
    name.scope = "row";
    row.append(name, track, make("td", "seconds", marks[mark].toFixed(2)));
    table.append(row);
  }
  details.append(summary, table);
  details.addEventListener("toggle", () => details.open && table.scrollIntoView({ block: "nearest" }));
  return details;
}

function make(tag, name = "", text = "") {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}
