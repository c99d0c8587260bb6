// The page: shows a conversation of client.js and hands on what the user presses, writes and chooses.
// Whatever was said is text, never markup: it is only ever put into textContent.

import { LocalVoice } from "./client.js";
import { Pace, answerTime, waterfall } from "./turns.js";

const STATES = {
  unreachable: "Server not reachable",
  warming: "Warming up",
  idle: "Ready",
  connecting: "Connecting",
  listening: "Listening",
  writing: "Writing",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
  paused: "Paused",
  muted: "Muted",
  busy: "Busy",
  lost: "Connection lost",
  locked: "Locked",
};
const ICONS = ["listening", "writing", "hearing", "thinking", "speaking", "paused", "muted", "busy", "lost", "locked"];
const NAMES = { user: "You", assistant: "Assistant" };
const MOST_CAPTIONS = 200;
const MOST_MESSAGES = 20_000;
const CHOICES = ["microphone", "speaker", "mode", "speaks", "speed"];
const KEPT = "local-voice"; // where this browser keeps the user's choices

const element = (id) => document.getElementById(id);

// The token comes behind the # of the link, which browsers send to nobody, and is exchanged for a cookie. It is
// kept in this page's memory alone, to get another cookie when that one is over.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname);
// A link that is pasted into a tab with this page changes only what stands behind the #: nothing is loaded again.
window.addEventListener("hashchange", () => location.hash.includes("token=") && location.reload());

const voice = new LocalVoice({ audio: element("voice"), token });
const pace = new Pace();
let messages = []; // for the trace
let timings = new Map(); // of replies of which no word has been heard yet
const unsent = []; // written before there was a connection

// ---- what is going on ----------------------------------------------------------------------------------

// A state that this page doesn't know is shown by its name: "looking_it_up" as "Looking it up".
function label(state) {
  if (Object.hasOwn(STATES, state)) return STATES[state];
  const words = state.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function icon(id, name) {
  element(id).setAttribute("href", `#i-${name}`);
}

function show({ state, word }) {
  const { live, connected, listens } = voice;
  document.body.dataset.state = state;
  document.body.dataset.live = live;
  document.body.dataset.listens = listens;
  const text = word ?? label(state);
  element("recorded").hidden = !voice.recorded;
  if (element("state-text").textContent !== text) element("state-text").textContent = text;
  icon("orb-icon", ICONS.includes(state) ? state : Object.hasOwn(STATES, state) ? "wait" : "thinking");
  element("talk").lastElementChild.textContent = !live ? "Talk" : state === "busy" ? "Stop waiting" : "Hang up";
  icon("talk-icon", live ? "end" : "mic");
  element("talk").disabled = !live && ["warming", "unreachable", "locked"].includes(state);
  element("mute").disabled = !live;
  // Who began by writing has no microphone to mute, but may want one.
  element("mute").dataset.muted = voice.muted;
  if (listens) element("mute").setAttribute("aria-pressed", voice.muted);
  else element("mute").removeAttribute("aria-pressed");
  element("mute").lastElementChild.textContent = live && !listens ? "Talk" : voice.muted ? "Unmute" : "Mute";
  icon("mute-icon", voice.muted ? "muted" : "mic");
  element("interrupt").disabled = !voice.interruptible;
  element("hold").hidden = !listens || voice.mode !== "push_to_talk";
  element("hold").textContent = voice.holding ? "Listening to you" : "Hold to talk";
  element("hold").dataset.held = voice.holding;
  element("text").disabled = element("send").disabled = ["warming", "unreachable", "locked"].includes(state);
  const empty = element("captions").children.length === 0;
  element("new").disabled = element("save").disabled = empty;
  if (state === "locked") {
    complain(
      token === null
        ? "This server needs its token: open the link that was shown when it started."
        : "The server did not take this link’s token: it has a new one since its start, or this browser keeps no cookies.",
    );
  }
  while (connected && unsent.length && voice.say(unsent[0])) unsent.shift();
  if (!live) giveBack(unsent.splice(0)); // there is nobody to say it to any more
}

// Whoever wrote what was not heard has it back in the field.
function giveBack(texts) {
  if (texts.length) element("text").value = [...texts, element("text").value].join(" ").trim();
}

function complain(sentence) {
  element("error").textContent = sentence;
  element("error").hidden = sentence === "";
}

function drawLevels() {
  requestAnimationFrame(drawLevels);
  if (!voice.live || document.hidden) return;
  const { user, assistant } = voice.levels();
  document.querySelector("[data-side=user] i").style.setProperty("--level", user.toFixed(2));
  document.querySelector("[data-side=assistant] i").style.setProperty("--level", assistant.toFixed(2));
  const speaking = document.body.dataset.state === "speaking";
  element("orb").style.setProperty("--level", (speaking ? assistant : user).toFixed(2));
}

// ---- what was said -------------------------------------------------------------------------------------

function make(tag, name = "", text = "") {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}

// Run `change`, and stay at the end of the conversation if that was in view.
function atEnd(change) {
  const box = element("scroll");
  const follow = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
  change();
  if (follow) box.scrollTop = box.scrollHeight;
}

function line(role, key) {
  const made = make("li");
  Object.assign(made.dataset, { role, key });
  element("captions").append(made);
  if (element("captions").children.length > MOST_CAPTIONS) element("captions").firstElementChild.remove();
  element("welcome").hidden = true;
  element("new").disabled = element("save").disabled = false;
  return made;
}

const find = (key) => element("captions").querySelector(`[data-key="${CSS.escape(key)}"]`);

function caption({ role, turn, text, final, interrupted, connection }) {
  if (!Object.hasOwn(NAMES, role)) return;
  const key = `${connection}-${role}-${turn}`;
  let row = find(key);
  if (text === "" && !interrupted) return row?.remove();
  atEnd(() => {
    if (!row) {
      row = line(role, key);
      row.dataset.turn = turn;
      row.append(make("span", "who", NAMES[role]), make("span", "words"), make("span", "mark"));
    }
    if (timings.has(key)) row.append(waterfall(timings.get(key)));
    timings.delete(key);
    const wasFinal = row.dataset.final === "true";
    write(row.querySelector(".words"), text, final);
    row.querySelector(".mark").textContent = interrupted ? "interrupted" : "";
    row.dataset.final = final;
    row.dataset.interrupted = interrupted;
    if (final && !wasFinal && element("announce").checked) element("announcer").textContent = `${NAMES[role]}: ${text}`;
  });
}

// The words that a new version has in common with the one before are firm.
function write(place, text, final) {
  const before = place.textContent.split(" ");
  const words = text.split(" ");
  let firm = 0;
  while (firm < words.length && words[firm] === before[firm]) firm++;
  if (final) firm = words.length;
  const [said, open] = [words.slice(0, firm).join(" "), words.slice(firm).join(" ")];
  place.replaceChildren(make("span", "firm", said), said && open ? " " : "", make("span", "soft", open));
}

function timing(found) {
  const time = answerTime(found);
  if (time === undefined) return;
  pace.add(time);
  element("pace").textContent = String(pace);
  element("pace").hidden = false;
  // It is told when the first sound leaves, which is before the first word has been heard.
  timings.set(`${found.connection}-assistant-${found.turn}`, found);
}

function broken() {
  for (const row of element("captions").querySelectorAll('li[data-role=assistant][data-final="false"]')) {
    row.querySelector(".mark").textContent = "interrupted";
    Object.assign(row.dataset, { final: true, interrupted: true });
  }
}

function back({ resumed }) {
  if (element("captions").children.length === 0) return;
  const sentence = resumed ? "Connected again" : "Connected again; what was said before is forgotten";
  atEnd(() => line("break", "").append(make("span", "", sentence)));
}

function clear() {
  element("captions").replaceChildren();
  element("welcome").hidden = false;
  element("pace").hidden = true;
  pace.clear();
  messages = [];
  timings = new Map();
}

// ---- saving --------------------------------------------------------------------------------------------

function conversationText() {
  const lines = [];
  for (const row of element("captions").children) {
    const { role, interrupted } = row.dataset;
    if (role === "break") lines.push(`--- ${row.textContent} ---`);
    else lines.push(`${NAMES[role]}: ${row.querySelector(".words").textContent}${interrupted === "true" ? " —" : ""}`);
  }
  return `${lines.join("\n\n")}\n`;
}

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  element("saving").hidePopover();
}

// ---- choices -------------------------------------------------------------------------------------------

function readChoices() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // nothing kept, or not allowed to look
  }
}

function keepChoices() {
  const chosen = Object.fromEntries(CHOICES.map((id) => [id, element(id).value]));
  const announce = element("announce").checked;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ ...chosen, announce }));
  } catch {
    // Private windows may keep nothing: then the choices last as long as the page.
  }
  choose(chosen);
}

function choose({ microphone, speaker, mode, speaks, speed }) {
  return voice.choose({ microphone, speaker, mode, voice: speaks, speed: Number(speed) });
}

// Where there is only one voice there is nothing to choose.
function listVoices({ names, voice: chosen }) {
  element("speaks").replaceChildren(...names.map((name, n) => new Option(voiceName(name), n ? name : "")));
  element("speaks").value = chosen;
  element("speaks-row").hidden = names.length < 2;
  keepChoices();
}

// "piper-en_US-joe-medium" as "Joe, American English, medium"; another name as it is.
function voiceName(name) {
  const [, language, who, quality] = /^(?:piper-)?([a-z]{2,3}_[A-Z]{2})-(\w+)-(\w+)$/.exec(name) ?? [];
  if (!who) return name;
  const tongue = new Intl.DisplayNames("en", { type: "language" }).of(language.replace("_", "-"));
  return `${who.charAt(0).toUpperCase()}${who.slice(1).replaceAll("_", " ")}, ${tongue}, ${quality.replace("_", " ")}`;
}

// Devices have names only once the microphone is allowed; the chosen one is listed all the same.
async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  for (const [id, kind] of [["microphone", "audioinput"], ["speaker", "audiooutput"]]) {
    const select = element(id);
    const chosen = select.value || readChoices()[id] || "";
    const found = devices.filter((one) => one.kind === kind && !["", "default"].includes(one.deviceId));
    if (chosen && !found.some((one) => one.deviceId === chosen)) found.push({ deviceId: chosen, label: "The one chosen before" });
    const named = found.map((one, n) => new Option(one.label || `${select.labels[0].firstChild.data.trim()} ${n + 1}`, one.deviceId));
    select.replaceChildren(select.options[0], ...named);
    select.value = chosen;
  }
  element("speaker-row").hidden = !("setSinkId" in HTMLMediaElement.prototype);
}

// ---- what the user presses -----------------------------------------------------------------------------

element("talk").addEventListener("click", () => (voice.live ? voice.hangUp() : voice.start()));
element("mute").addEventListener("click", () => (voice.listens ? voice.mute(!voice.muted) : voice.listen()));
element("interrupt").addEventListener("click", () => voice.interrupt());
element("settings").addEventListener("click", () => listDevices().then(() => element("choices").showModal()));
for (const id of [...CHOICES, "announce"]) element(id).addEventListener("change", keepChoices);
element("new").addEventListener("click", () => {
  const { live, listens } = voice;
  voice.hangUp();
  clear();
  show(voice);
  if (live) voice.start({ listen: listens }); // whoever writes is not to be heard all at once
  else element("talk").focus();
});
const stamp = () => new Date().toISOString().slice(0, 16).replace(/[T:]/g, "-");
element("save-text").addEventListener("click", () => save(`conversation-${stamp()}.txt`, conversationText()));
element("save-trace").addEventListener("click", () =>
  save(`conversation-${stamp()}.jsonl`, messages.map((one) => `${JSON.stringify(one)}\n`).join("")),
);
element("write").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = element("text").value;
  if (text.trim() === "") return;
  element("text").value = "";
  if (voice.say(text)) return;
  unsent.push(text);
  voice.start({ listen: false });
});

// Space belongs to a button that has the keyboard's focus; everywhere else it is the talk key.
const isTalkKey = (event) =>
  voice.listens &&
  voice.mode === "push_to_talk" &&
  event.code === "Space" &&
  !element("choices").open &&
  (event.target === element("hold") || !event.target.closest("button, a, input, textarea, select, summary"));

document.addEventListener("keydown", (event) => {
  if (element("choices").open) return;
  const typing = event.target.closest("input, select, textarea");
  const plain = !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.code === "Escape") voice.interrupt();
  else if (plain && event.key.toLowerCase() === "m" && voice.live) voice.mute(!voice.muted);
  else if (plain && event.key === "/") {
    event.preventDefault();
    element("text").focus();
  }
  if (!isTalkKey(event)) return;
  event.preventDefault();
  if (!event.repeat) voice.hold(true);
});
document.addEventListener("keyup", (event) => {
  if (event.code !== "Space") return;
  if (isTalkKey(event)) event.preventDefault();
  voice.hold(false);
});
element("hold").addEventListener("pointerdown", (event) => {
  if (event.button > 0) return; // the right one is for the menu
  event.target.setPointerCapture(event.pointerId);
  voice.hold(true);
});
// However the finger or the key leaves, the microphone must not stay open.
for (const letGo of ["pointerup", "pointercancel", "lostpointercapture"]) {
  element("hold").addEventListener(letGo, () => voice.hold(false));
}
// A finger that rests for half a second means the menu to Chrome on Android, which then takes the touch for it.
element("hold").addEventListener("contextmenu", (event) => event.preventDefault());
window.addEventListener("blur", () => voice.hold(false));
document.addEventListener("visibilitychange", () => document.hidden && voice.hold(false));
window.addEventListener("pagehide", () => voice.hangUp());

// A button that was clicked gives the focus back, so that Space is the talk key; one reached by keyboard keeps it.
for (const button of document.querySelectorAll("#controls button")) {
  button.addEventListener("click", (event) => event.detail > 0 && button.blur());
}

// ---- what the conversation tells -----------------------------------------------------------------------

const told = {
  state: show,
  trouble: ({ sentence }) => complain(sentence),
  caption,
  timing,
  broken,
  back,
  voices: listVoices,
  unheard: ({ texts }) => giveBack(texts),
};
for (const [name, take] of Object.entries(told)) voice.addEventListener(name, ({ detail }) => take(detail));
voice.addEventListener("message", ({ detail }) => {
  messages.push(detail);
  if (messages.length > MOST_MESSAGES) messages.shift();
});

const choices = readChoices();
if (choices.speaks) element("speaks").append(new Option("", choices.speaks)); // until the server says who there is
for (const id of ["mode", "speaks", "speed"]) {
  element(id).value = choices[id] ?? "";
  if (element(id).selectedIndex < 0) element(id).value = "";
}
element("announce").checked = choices.announce !== false;
choose({ ...choices, mode: element("mode").value, speaks: element("speaks").value, speed: element("speed").value });
navigator.mediaDevices?.addEventListener?.("devicechange", listDevices);
listDevices();
drawLevels();
voice.watchServer();
