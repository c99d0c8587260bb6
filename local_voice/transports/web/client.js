// The page's side of a conversation: microphone up, voice down, captions and state over a data channel.
// Times are in seconds; setTimeout alone takes milliseconds.

import { Playback, hello } from "/playback.js";

const STATES = {
  unreachable: "Server not reachable",
  warming: "Warming up",
  idle: "Ready",
  connecting: "Connecting",
  listening: "Listening",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
  muted: "Muted",
  lost: "Connection lost",
  locked: "Locked",
};
const QUIET_STATES = ["listening", "hearing"]; // in all others the assistant has, or is about to have, the word
const LONGEST_STATE = 40;
const PING_SECONDS = 1;
const SILENT_SERVER_SECONDS = 4;
const CONNECT_SECONDS = 15;
const GATHER_SECONDS = 1;
const MOST_CAPTIONS = 200;

const element = (id) => document.getElementById(id);
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const now = () => performance.now() / 1000;

let call = null; // the conversation that is open: { peer, microphone, channel, ... }
let serverState = "listening";
let mode = "full_duplex"; // how turns are taken, as the server said
let iceServers = [];

// ---- what the user sees --------------------------------------------------------------------------------

// A state that this page doesn't know is shown by its name: "looking_it_up" as "Looking it up".
function label(state) {
  if (Object.hasOwn(STATES, state)) return STATES[state];
  const words = state.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function show(state) {
  document.body.dataset.state = state;
  element("state-text").textContent = label(state);
  const live = call !== null;
  const open = live && call.connected === true;
  document.body.dataset.live = live;
  element("talk").textContent = live ? "Hang up" : "Talk";
  element("talk").disabled = !live && ["warming", "unreachable", "locked"].includes(state);
  element("mute").disabled = !live;
  element("mute").dataset.muted = live && call.muted;
  element("mute").textContent = live && call.muted ? "Unmute" : "Mute";
  element("interrupt").disabled = !open || serverState === "listening";
  element("hold").hidden = !live || mode !== "push_to_talk";
  element("hold").disabled = !open;
  element("hold").textContent = live && call.holding ? "Listening to you" : "Hold to talk";
  element("hold").dataset.held = live && call.holding;
}

function showConversation() {
  show(call.muted && QUIET_STATES.includes(serverState) ? "muted" : serverState);
}

function complain(sentence) {
  element("error").textContent = sentence;
  element("error").hidden = sentence === "";
}

function caption({ role, turn, text, final, interrupted }) {
  const list = element("captions");
  const key = `${call.number}-${role}-${turn}`;
  let line = list.querySelector(`[data-key="${key}"]`);
  if (text === "" && !interrupted) {
    line?.remove();
    return;
  }
  const atEnd = list.parentElement.scrollHeight - list.parentElement.scrollTop - list.parentElement.clientHeight < 80;
  if (!line) {
    line = document.createElement("li");
    line.dataset.key = key;
    line.dataset.role = role;
    line.dataset.turn = turn;
    for (const part of ["who", "words", "mark"]) {
      line.append(Object.assign(document.createElement("span"), { className: part }));
    }
    line.querySelector(".who").textContent = role === "user" ? "You" : "Assistant";
    list.append(line);
    if (list.children.length > MOST_CAPTIONS) list.firstElementChild.remove();
  }
  const wasFinal = line.dataset.final === "true";
  line.querySelector(".words").textContent = text;
  line.querySelector(".mark").textContent = interrupted ? " (interrupted)" : "";
  line.dataset.final = final;
  line.dataset.interrupted = interrupted;
  element("hint").hidden = true;
  if (final && !wasFinal) element("announcer").textContent = `${role === "user" ? "You" : "Assistant"}: ${text}`;
  if (atEnd) line.scrollIntoView({ block: "end" });
}

function timing({ seconds }) {
  const parts = Object.entries(seconds).map(([mark, value]) => `${mark.replaceAll("_", " ")} ${value.toFixed(2)} s`);
  element("timing").textContent = `Last turn, after your last sound: ${parts.join(" · ")}`;
  element("timing").hidden = parts.length === 0;
}

// ---- the conversation ----------------------------------------------------------------------------------

class Sentence extends Error {} // an error whose message is meant for the user

async function openMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    const port = location.port || "80";
    throw new Sentence(
      "Browsers give the microphone only to pages from localhost or over HTTPS. On another machine, run " +
        `“ssh -L ${port}:localhost:${port} ${location.hostname}” and open http://localhost:${port} there.`,
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new Sentence(
      {
        NotAllowedError: "The microphone was refused: allow it for this page in the browser’s address bar, then press Talk.",
        NotFoundError: "No microphone was found: plug one in, then press Talk.",
        NotReadableError: "The microphone can’t be opened: another program may be using it.",
      }[error.name] ?? `The microphone can’t be used: ${error.message}`,
    );
  }
}

async function gathered(peer) {
  const complete = new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", look);
    look();
  });
  await Promise.race([complete, sleep(GATHER_SECONDS)]);
}

async function exchange(peer) {
  await peer.setLocalDescription(await peer.createOffer());
  await gathered(peer);
  const { sdp, type } = peer.localDescription;
  if (!sdp.includes("a=candidate:")) {
    throw new Sentence(
      "This computer has no network, and without one browsers refuse even calls to themselves: join any network, " +
        "start Chromium with --allow-loopback-in-peer-connection, or use “local-voice talk”.",
    );
  }
  const response = await post("/offer", { sdp, type });
  const reply = await response.json().catch(() => ({}));
  if (!response.ok) throw new Sentence(reply.error ?? `The server refused the call (${response.status}).`);
  await peer.setRemoteDescription(reply);
}

// ---- the token -----------------------------------------------------------------------------------------

// It comes behind the # of the link, which browsers send to nobody, and is exchanged for a cookie. It is kept
// in this page's memory alone, to get another cookie when that one is over.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) history.replaceState(null, "", location.pathname);

async function unlock() {
  if (!token) return false;
  const response = await request("/token", { token }).catch(() => null);
  return response?.ok === true;
}

function request(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

async function post(path, body) {
  try {
    const response = await request(path, body);
    return response.status === 401 && (await unlock()) ? await request(path, body) : response;
  } catch {
    throw new Sentence("The server can’t be reached: is local-voice still running?");
  }
}

let calls = 0;

async function talk() {
  complain("");
  const mine = { number: ++calls, muted: false, holding: false, heard: now() };
  call = mine;
  serverState = "listening";
  mode = "full_duplex";
  show("connecting");
  try {
    mine.microphone = await openMicrophone();
    if (call !== mine) return release(mine);
    const peer = (mine.peer = new RTCPeerConnection({ iceServers }));
    mine.channel = peer.createDataChannel("events");
    mine.playback = new Playback(peer);
    mine.channel.onmessage = ({ data }) => call === mine && receive(JSON.parse(data));
    peer.ontrack = ({ track }) => {
      element("voice").srcObject = new MediaStream([track]);
      element("voice").play().catch(() => complain("The browser blocks sound: press Hang up, then Talk."));
    };
    peer.onconnectionstatechange = () => {
      if (call === mine && ["failed", "closed"].includes(peer.connectionState)) lose();
    };
    for (const track of mine.microphone.getAudioTracks()) {
      peer.addTrack(track, mine.microphone);
      track.onended = () => call === mine && hangUp("The microphone is gone: plug it in, then press Talk.");
    }
    mine.channel.onopen = () => {
      if (call !== mine) return;
      mine.connected = true;
      mine.heard = now();
      showConversation();
      send(mine, hello(mine.microphone.getAudioTracks()[0]));
      ping(mine);
      mine.playback.report(
        (message) => send(mine, message),
        () => call === mine,
        () => !QUIET_STATES.includes(serverState),
      );
    };
    await exchange(peer);
    await sleep(CONNECT_SECONDS);
    if (call === mine && !mine.connected) {
      hangUp("The connection didn’t come about: a firewall or VPN may be blocking UDP between us.");
    }
  } catch (error) {
    if (call !== mine) return;
    hangUp(error instanceof Sentence ? error.message : `The conversation can’t start: ${error.message}`);
  }
}

function receive(message) {
  call.heard = now();
  if (message.type === "caption") caption(message);
  else if (message.type === "timing") timing(message);
  else if (message.type === "notice") complain(message.text);
  else if (message.type === "status") {
    serverState = String(message.state).slice(0, LONGEST_STATE);
    if (call.connected) showConversation();
  } else if (message.type === "mode") {
    mode = message.name;
    if (call.connected) showConversation();
  } else if (message.type === "bye") lose(`The assistant hung up: ${message.reason}.`);
}

function send(mine, message) {
  if (mine.channel?.readyState === "open") mine.channel.send(JSON.stringify(message));
}

async function ping(mine) {
  while (call === mine) {
    send(mine, { type: "ping", delay: await mine.playback.delay().catch(() => undefined) });
    await sleep(PING_SECONDS);
    if (call === mine && now() - mine.heard > SILENT_SERVER_SECONDS) lose();
  }
}

function release(mine) {
  for (const track of mine.microphone?.getTracks() ?? []) track.stop();
  mine.peer?.close();
}

function end(state, sentence) {
  const mine = call;
  call = null;
  if (!mine) return;
  send(mine, { type: "bye" });
  element("voice").srcObject = null;
  release(mine);
  complain(sentence);
  show(state);
  if (state === "lost") watchServer();
}

const hangUp = (sentence = "") => end("idle", sentence);
const lose = (sentence = "The connection to the assistant was lost: press Talk to start again.") => end("lost", sentence);

function toggleMute() {
  if (!call) return;
  call.muted = !call.muted;
  for (const track of call.microphone?.getAudioTracks() ?? []) track.enabled = !call.muted;
  if (call.connected) showConversation();
  else show("connecting");
}

// ---- what the user presses -----------------------------------------------------------------------------

function interrupt() {
  if (call && !element("interrupt").disabled) send(call, { type: "interrupt" });
}

function hold(down) {
  if (!call?.connected || call.holding === down || (down && mode !== "push_to_talk")) return;
  call.holding = down;
  send(call, { type: "talk", down });
  showConversation();
}

// Space belongs to a button that has the keyboard's focus; everywhere else it is the talk key.
const isTalkKey = (event) =>
  call !== null &&
  mode === "push_to_talk" &&
  event.code === "Space" &&
  (event.target === element("hold") || !event.target.closest("button, a, input, textarea, select"));

document.addEventListener("keydown", (event) => {
  if (event.code === "Escape") interrupt();
  if (!isTalkKey(event)) return;
  event.preventDefault();
  if (!event.repeat) hold(true);
});
document.addEventListener("keyup", (event) => {
  if (event.code !== "Space") return;
  if (isTalkKey(event)) event.preventDefault();
  hold(false);
});
element("hold").addEventListener("pointerdown", (event) => {
  event.target.setPointerCapture(event.pointerId);
  hold(true);
});
// However the finger or the key leaves, the microphone must not stay open.
for (const letGo of ["pointerup", "pointercancel", "lostpointercapture", "contextmenu"]) {
  element("hold").addEventListener(letGo, () => hold(false));
}
window.addEventListener("blur", () => hold(false));
document.addEventListener("visibilitychange", () => document.hidden && hold(false));

// A button that was clicked gives the focus back, so that Space is the talk key; one reached by keyboard keeps it.
for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", (event) => event.detail > 0 && button.blur());
}

// ---- is the assistant ready? ---------------------------------------------------------------------------

// Asks until the models are warm (at /healthz: browsers log the 503 of /readyz as an error); a page that lost its call keeps saying so while the server is there.
async function watchServer() {
  let unlocked = token === null;
  for (;;) {
    let answer = null;
    try {
      const response = await fetch("/healthz", { cache: "no-store" });
      answer = await response.json();
    } catch {
      answer = null;
    }
    if (call) return;
    if (answer?.locked) {
      if (!unlocked && (unlocked = await unlock())) continue;
      show("locked");
      complain(
        token === null
          ? "This server needs its token: open the link that was shown when it started."
          : "The server did not take this link’s token: it has a new one since its start, or this browser keeps no cookies.",
      );
      return;
    }
    if (answer?.ready) {
      iceServers = answer.ice_servers.map((urls) => ({ urls }));
      if (document.body.dataset.state !== "lost") show("idle");
      return;
    }
    show(answer ? "warming" : "unreachable");
    if (answer?.warming) element("state-text").textContent = `Warming up: ${answer.warming}`;
    await sleep(1);
  }
}

element("talk").addEventListener("click", () => (call ? hangUp() : talk()));
element("mute").addEventListener("click", toggleMute);
element("interrupt").addEventListener("click", interrupt);
window.addEventListener("pagehide", () => hangUp());
watchServer();
