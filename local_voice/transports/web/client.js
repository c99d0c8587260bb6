// A conversation with a local-voice server: microphone up, voice down, words and state over a data channel.
// The page uses it, and so may any other page: docs/embedding.md. Times are in seconds.
//
//   import { LocalVoice } from "/client.js";
//   const voice = new LocalVoice({ token: getPass });
//   voice.addEventListener("caption", ({ detail }) => console.log(detail.role, detail.text));
//   button.onclick = () => voice.start();

import { Busy, Door } from "./door.js";
import { Ears } from "./levels.js";
import { Sentence, openMicrophone, silence } from "./microphone.js";
import { Playback, hello } from "./playback.js";

const QUIET_STATES = ["listening", "hearing"]; // in all others the assistant has, or is about to have, the word
const LONGEST_STATE = 40;
const LONGEST_TEXT = 1000;
const PING_SECONDS = 1;
const SILENT_SERVER_SECONDS = 4;
const CONNECT_SECONDS = 15;
const RETURN_SECONDS = 30; // so long the server keeps a conversation whose connection broke
const STEADY_SECONDS = 10; // a connection that lasted so long was a good one
const MOST_BREAKS = 5;
const RECEIPT_SECONDS = 5; // what was written is shown as a caption by then, or was not taken

const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const now = () => performance.now() / 1000;
// Words alone: the server shows no control characters, and one space for many.
const plain = (text) => text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();

// Events, each with its facts in `detail`:
//   state    { state, word }   idle, connecting, listening, writing (as listening, without a microphone),
//                              hearing, thinking, speaking, paused, muted, busy, lost, warming, unreachable,
//                              locked, or what a newer server says
//   caption  { role, turn, text, final, interrupted, connection }
//   timing   { turn, seconds, delay, connection }
//   trouble  { sentence }      what went wrong and what helps; empty when that is over
//   voices   { names, voice }  who can speak, the server's own first; who is chosen, "" for that one
//   message  { at, from, message }  everything said over the data channel, but for the pulse
//   broken, back { resumed }   the connection is gone; there is another one
//   unheard  { texts }         written by `say`, but lost with their connection or refused: to be written again
export class LocalVoice extends EventTarget {
  muted = false;
  holding = false;
  recorded = false; // the server keeps the sound and the words of this conversation
  mode = "full_duplex"; // how turns are taken, as the server said
  voices = []; // names of those that the server has, its own first; empty until it says so
  state = "idle";
  #door;
  #audio;
  #choices = {};
  #run = null; // the conversation that the user wants: { microphone, link, name, ... }
  #connections = 0;
  #said = "listening"; // the state that the server told last
  #pressed = false; // the talk key, also while there is nobody to tell
  #ears = null;

  // server: its address, by default where this module came from. token: a pass, or a function that fetches
  // one, sent with each request; without it cookies are used. audio: the element that plays the voice.
  constructor({ server, token, audio } = {}) {
    super();
    this.#door = new Door(new URL(server ?? ".", import.meta.url), token);
    this.#audio = audio ?? Object.assign(new Audio(), { autoplay: true });
  }

  // A conversation is open, being opened, or being brought back.
  get live() {
    return this.#run !== null;
  }

  get connected() {
    return this.#run?.link?.open === true;
  }

  // Whether it has a microphone: one that was begun by writing has none until `listen`.
  get listens() {
    return this.#run?.listen === true;
  }

  get interruptible() {
    return this.connected && this.#said !== "listening";
  }

  // Begin. { listen: false } opens no microphone: for those who write.
  async start({ listen = true } = {}) {
    if (this.#run) return;
    const run = (this.#run = { listen, name: "", breaks: 0 });
    this.muted = this.holding = this.#pressed = false;
    this.#trouble("");
    this.#to("connecting");
    try {
      if (!window.RTCPeerConnection) {
        throw new Sentence(
          "This browser has no WebRTC, which carries the voices: open the page in a current Chromium, Firefox or Safari.",
        );
      }
      run.microphone = listen ? await openMicrophone(this.#choices.microphone) : silence();
      if (this.#run !== run) return this.#free(run);
      this.#watchMicrophone(run);
      await this.#open(run);
    } catch (error) {
      if (this.#run !== run) return;
      this.hangUp(error instanceof Sentence ? error.message : `The conversation can’t start: ${error.message}`);
    }
  }

  hangUp(sentence = "") {
    this.#end("idle", sentence);
  }

  // Open the microphone in a conversation that was begun without one.
  async listen() {
    if (this.#run && !this.listens) await this.#openMicrophone(this.#run);
  }

  mute(muted) {
    if (!this.listens) return;
    this.muted = muted;
    this.#applyMute();
    this.#show();
  }

  interrupt() {
    if (this.interruptible) this.#send({ type: "interrupt" });
  }

  // Press the talk key, or let it go. One that is held while the connection comes back counts from then on.
  hold(down) {
    this.#pressed = down;
    this.#talk();
  }

  // Write instead of speaking. False: there is no connection to say it over.
  say(text) {
    if (!this.connected || text.trim() === "") return false;
    const link = this.#run.link;
    const written = { text: text.trim().slice(0, LONGEST_TEXT) };
    link.written.push(written);
    this.#send({ type: "say", text: written.text });
    sleep(RECEIPT_SECONDS).then(() => link.open && this.#giveBack(link, [written]));
    return true;
  }

  // { microphone, speaker: device ids, "" for the system's; mode; voice: one of `voices`; speed: 0.5 to 2 times
  // the voice's own }: for now and for later conversations. "" leaves voice and speed to the server.
  async choose(choices) {
    const before = this.#choices;
    this.#choices = { ...before, ...choices };
    const { microphone, speaker, mode, voice, speed } = this.#choices;
    if ((voice ?? "") !== (before.voice ?? "") || (speed || null) !== (before.speed || null)) this.#sendManner();
    if ((mode ?? "") !== (before.mode ?? "")) this.#sendMode(this.#run?.link);
    if ((speaker ?? "") !== (before.speaker ?? "") && this.#audio.setSinkId) {
      await this.#audio.setSinkId(speaker ?? "").catch(() => this.#trouble("That loudspeaker can’t be used."));
    }
    const run = this.#run;
    if (run?.microphone && run.listen && (microphone ?? "") !== (before.microphone ?? "")) await this.#openMicrophone(run);
  }

  // How loud both sides are at this moment, 0 to 1.
  levels() {
    const ears = this.#run?.link?.ears;
    return { user: this.muted ? 0 : (ears?.user() ?? 0), assistant: ears?.assistant() ?? 0 };
  }

  // Ask until the models are warm (at /healthz: browsers log the 503 of /readyz as an error).
  async watchServer() {
    let unlocked = false;
    for (;;) {
      const answer = await this.#door.health();
      if (this.#run) return;
      if (answer?.locked) {
        if (!unlocked && (unlocked = await this.#door.unlock())) continue;
        this.#to("locked");
        return;
      }
      if (answer?.ready) {
        if (this.state !== "lost") this.#to("idle");
        return;
      }
      if (!answer) this.#to("unreachable");
      else this.#to("warming", answer.warming ? `Warming up: ${answer.warming}` : undefined);
      await sleep(1);
    }
  }

  // ---- connecting ----------------------------------------------------------------------------------------

  async #open(run) {
    for (;;) {
      try {
        await this.#door.lookForRoom();
        if (this.#run === run) await this.#connect(run);
        return;
      } catch (error) {
        if (!(error instanceof Busy) || this.#run !== run) throw error;
        for (let left = Math.ceil(error.seconds); left > 0; left--) {
          this.#trouble(error.message);
          this.#to("busy", `Busy: trying again in ${left} s`);
          await sleep(1);
          if (this.#run !== run) return;
        }
        this.#trouble("");
        this.#to("connecting");
      }
    }
  }

  async #connect(run) {
    const peer = new RTCPeerConnection({
      iceServers: this.#door.iceServers,
      iceTransportPolicy: this.#door.relay ? "relay" : "all",
    });
    const link = (run.link = { peer, number: ++this.#connections, heard: now(), open: false, written: [] });
    try {
      const opened = this.#prepare(run, link);
      opened.catch(() => {}); // it is waited for below, once there is an answer
      const reply = await this.#door.exchange(peer, run.name);
      const resumed = reply.resumed === true;
      run.name = reply.conversation ?? "";
      const late = sleep(CONNECT_SECONDS).then(() => {
        throw new Sentence(
          "The connection didn’t come about: a firewall or VPN may be blocking UDP between us. A TURN server " +
            "(server.ice_servers) gets through.",
        );
      });
      await Promise.race([opened, late]);
      if (run.began) this.#tell("back", { resumed });
      run.began ??= now();
    } catch (error) {
      peer.close();
      if (run.link === link) run.link = null;
      throw error;
    }
  }

  // Resolves when the data channel is open.
  #prepare(run, link) {
    const { peer } = link;
    link.channel = peer.createDataChannel("events");
    link.playback = new Playback(peer);
    link.ears = new Ears(this.#ears ??= new AudioContext());
    link.ears.listen(run.microphone);
    link.channel.onmessage = ({ data }) => this.#current(run, link) && this.#receive(link, JSON.parse(data));
    peer.ontrack = ({ track }) => {
      const stream = new MediaStream([track]);
      this.#audio.srcObject = stream;
      link.ears.hear(stream);
      this.#audio.play().catch((error) => {
        if (error.name !== "NotAllowedError" || !this.#current(run, link)) return;
        link.blocked = "The browser blocks sound: press Hang up, then Talk.";
        this.#trouble(link.blocked);
      });
    };
    for (const track of run.microphone.getAudioTracks()) peer.addTrack(track, run.microphone);
    return new Promise((opened, failed) => {
      peer.onconnectionstatechange = () => {
        if (!["failed", "closed"].includes(peer.connectionState)) return;
        failed(new Sentence("The connection to the assistant broke."));
        this.#lose(run, link);
      };
      link.channel.onopen = () => {
        if (!this.#current(run, link)) return;
        link.open = true;
        link.since = link.heard = now();
        this.#said = "listening";
        this.#trouble(link.blocked ?? "");
        this.#show();
        this.#sayHello(run);
        this.#sendMode(link);
        this.#ping(run, link);
        link.playback.report(
          (message) => this.#send(message),
          () => this.#current(run, link),
          () => !QUIET_STATES.includes(this.#said),
        );
        opened();
      };
    });
  }

  #current(run, link) {
    return this.#run === run && run.link === link;
  }

  // ---- while connected -----------------------------------------------------------------------------------

  #receive(link, message) {
    link.heard = now();
    if (message.type !== "pong") this.#log("server", message);
    if (message.type === "caption") {
      if (message.role === "user" && message.text && this.state === "paused") this.#to("hearing");
      if (message.role === "user" && message.final) this.#userSaid(link, message.text);
      this.#tell("caption", { ...message, connection: link.number });
    } else if (message.type === "timing") {
      this.#tell("timing", { ...message, delay: link.delay ?? 0, connection: link.number });
    } else if (message.type === "notice") this.#trouble(message.text);
    else if (message.type === "status") {
      const said = String(message.state).slice(0, LONGEST_STATE);
      // A reply that is held because of a sound whose words are not known yet.
      const held = said === "hearing" && ["speaking", "paused"].includes(this.state);
      this.#said = said;
      if (link.open) held ? this.#to("paused") : this.#show();
    } else if (message.type === "recording") {
      this.recorded = message.on === true;
      if (link.open) this.#show();
    } else if (message.type === "mode") {
      this.#hearOfMode(link, message.name);
    } else if (message.type === "voices") {
      this.#hearOfVoices(link, message);
    } else if (message.type === "bye") {
      this.#lose(this.#run, link, `The assistant hung up: ${message.reason}.`);
    }
  }

  #userSaid(link, text) {
    this.#trouble(link.blocked ?? ""); // what failed before works again
    // Messages arrive in their order, so those that were written before this one have arrived too.
    const taken = link.written.findIndex((one) => plain(one.text) === plain(text));
    link.written.splice(0, taken + 1);
  }

  // Whoever wrote what the server has not shown has it back. It is not sent again: perhaps it was heard.
  #giveBack(link, written) {
    const texts = link.written.filter((one) => written.includes(one)).map((one) => one.text);
    link.written = link.written.filter((one) => !written.includes(one));
    if (texts.length) this.#tell("unheard", { texts });
  }

  // The first time on a connection the server tells how it is set, later how turns are taken from now on.
  #hearOfMode(link, name) {
    const first = link.mode === undefined;
    link.mode ??= name;
    if (first && this.#choices.mode && this.#choices.mode !== name) return; // it has been told of the choice
    this.mode = name;
    this.#talk();
    if (link.open) this.#show();
  }

  // Without a choice of the user's the server's own way counts, which it tells first of all.
  #sendMode(link) {
    const name = this.#choices.mode || link?.mode;
    if (name) this.#send({ type: "mode", name });
  }

  // Tell the server of the talk key, where that is news to it.
  #talk() {
    const down = this.#pressed && this.mode === "push_to_talk";
    if (!this.connected || this.holding === down) return;
    this.holding = down;
    this.#send({ type: "talk", down });
    this.#show();
  }

  // The first time on a connection the server tells what it has, later what has come of a choice.
  #hearOfVoices(link, { names, chosen }) {
    const first = !link.voices;
    link.voices = true;
    this.voices = names.map(String);
    const wanted = first ? this.#choices.voice : chosen;
    this.#choices.voice = this.voices.slice(1).includes(wanted) ? wanted : "";
    if (first && (this.#choices.voice || this.#choices.speed)) this.#sendManner();
    this.#tell("voices", { names: this.voices, voice: this.#choices.voice });
  }

  #sendManner() {
    const { voice, speed } = this.#choices;
    if (this.#run?.link?.voices) this.#send({ type: "manner", voice: voice ?? "", speed: speed || null });
  }

  #show() {
    const quiet = QUIET_STATES.includes(this.#said);
    if (this.connected) this.#to(quiet && this.muted ? "muted" : quiet && !this.listens ? "writing" : this.#said);
    else if (this.#run) this.#to(this.state);
  }

  async #ping(run, link) {
    while (this.#current(run, link)) {
      link.delay = await link.playback.delay().catch(() => undefined);
      this.#send({ type: "ping", delay: link.delay });
      await sleep(PING_SECONDS);
      if (now() - link.heard > SILENT_SERVER_SECONDS) this.#lose(run, link);
    }
  }

  #send(message) {
    const channel = this.#run?.link?.channel;
    if (channel?.readyState !== "open") return;
    channel.send(JSON.stringify(message));
    if (!["ping", "played"].includes(message.type)) this.#log("page", message);
  }

  #sayHello(run) {
    // There is no echo in a microphone that hears nothing.
    this.#send({ ...hello(run.microphone.getAudioTracks()[0]), ...(run.listen ? {} : { echo_cancellation: true }) });
  }

  // The chosen microphone takes the place of what the conversation has; the same call goes on.
  async #openMicrophone(run) {
    try {
      const fresh = await openMicrophone(this.#choices.microphone);
      if (this.#run !== run) return fresh.getTracks().forEach((track) => track.stop());
      for (const track of run.microphone?.getTracks() ?? []) track.stop();
      Object.assign(run, { microphone: fresh, listen: true });
      this.#watchMicrophone(run);
      this.#applyMute();
      await run.link?.peer.getSenders()[0]?.replaceTrack(fresh.getAudioTracks()[0]);
      run.link?.ears?.listen(fresh);
      this.#sayHello(run);
      this.#show();
    } catch (error) {
      this.#trouble(error.message);
    }
  }

  #watchMicrophone(run) {
    for (const track of run.microphone.getAudioTracks()) {
      track.onended = () =>
        this.#run === run &&
        run.microphone.getAudioTracks().includes(track) &&
        this.hangUp("The microphone is gone: plug it in, then press Talk.");
    }
  }

  #applyMute() {
    for (const track of this.#run?.microphone?.getAudioTracks() ?? []) track.enabled = !this.muted;
  }

  // ---- the end, and coming back --------------------------------------------------------------------------

  async #lose(run, link, sentence = "The connection to the assistant was lost.") {
    if (!this.#current(run, link)) return;
    const wasOpen = link.open;
    this.#close(link);
    run.link = null;
    if (!wasOpen) return; // whoever is connecting is told by the error
    this.holding = false;
    run.breaks = now() - link.since > STEADY_SECONDS ? 1 : run.breaks + 1;
    this.#tell("broken", {});
    this.#giveBack(link, link.written);
    this.#trouble(`${sentence} Trying to bring it back.`);
    this.#to("lost", "Reconnecting");
    let until = now() + RETURN_SECONDS;
    for (let wait = 0.3; run.breaks <= MOST_BREAKS && now() < until; wait = Math.min(2 * wait, 4)) {
      await sleep(wait);
      const health = await this.#door.health();
      if (this.#run !== run) return;
      if (health?.warming) {
        until = now() + RETURN_SECONDS; // it has been started again, and says so
        this.#to("lost", `Reconnecting: ${health.warming}`);
      }
      if (!health?.ready) continue;
      try {
        return await this.#connect(run);
      } catch {
        continue; // the next try may work
      }
    }
    if (this.#run === run) this.#end("lost", `${sentence} It could not be brought back: press Talk to start again.`);
  }

  #end(state, sentence) {
    const run = this.#run;
    if (!run) return;
    this.#send({ type: "bye" });
    this.#run = null;
    this.#free(run);
    this.#audio.srcObject = null;
    this.muted = this.holding = this.recorded = false;
    this.#trouble(sentence);
    this.#to(state);
    if (state === "lost") this.watchServer();
  }

  #free(run) {
    for (const track of run.microphone?.getTracks() ?? []) track.stop();
    if (run.link) this.#close(run.link);
  }

  #close(link) {
    link.open = false;
    link.ears?.close();
    link.peer.onconnectionstatechange = null;
    link.peer.close();
  }

  #to(state, word) {
    this.state = state;
    this.#tell("state", { state, word });
  }

  #trouble(sentence) {
    this.#tell("trouble", { sentence });
  }

  #log(from, message) {
    this.#tell("message", { at: now(), from, message });
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
