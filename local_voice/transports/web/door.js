// Knocks at the server: is it there, is there room, may I call?

import { Sentence } from "./microphone.js";

const BUSY_SECONDS = 5;
const GATHER_SECONDS = 1;
const RELAY_SECONDS = 5;
const ANSWER_SECONDS = 5; // a server that says nothing for so long is not there
const CALL_SECONDS = 20; // a call waits for the server's own way through the network

export class Busy extends Sentence {
  constructor(sentence, seconds) {
    super(sentence);
    this.seconds = seconds;
  }
}

export class Door {
  iceServers = [];
  relay = false; // sound may go through the TURN server alone
  #server;
  #token;
  #own;

  // On its own page the server takes the token once, for a cookie. On others each request carries a pass:
  // `token` is one, or a function that fetches one.
  constructor(server, token) {
    this.#server = server;
    this.#token = token;
    this.#own = server.origin === location.origin;
  }

  // Exchange the token for a cookie, which scripts can't read.
  async unlock() {
    if (!this.#own || !this.#token) return false;
    const response = await this.#request("token", this.#json({ token: await this.#pass() })).catch(() => null);
    return response?.ok === true;
  }

  // What the server says of itself; null when it can't be reached.
  async health() {
    try {
      const answer = await (await this.#request("healthz")).json();
      this.iceServers = (answer.ice_servers ?? []).map((one) => (typeof one === "string" ? { urls: one } : one));
      this.relay = answer.relay_only === true;
      return answer;
    } catch {
      return null;
    }
  }

  // A full server is asked by its health first: browsers log the refusal of a call as an error.
  async lookForRoom() {
    const health = await this.health();
    if (health?.warming) throw new Busy(`The assistant is not ready yet: ${health.warming}.`, BUSY_SECONDS);
    if (health && health.sessions >= health.max_sessions) {
      throw new Busy("All conversations are taken. You are let in as soon as one ends.", BUSY_SECONDS);
    }
  }

  // Offer a call and take the answer. `name`: of the conversation whose connection broke, else empty.
  async exchange(peer, name) {
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer, this.relay ? RELAY_SECONDS : GATHER_SECONDS);
    const { sdp, type } = peer.localDescription;
    if (!sdp.includes("a=candidate:")) {
      throw new Sentence(
        this.relay
          ? "The TURN server can’t be reached: it may be down, or its password wrong."
          : "This computer has no network, and without one browsers refuse even calls to themselves: join any " +
            "network, start Chromium with --allow-loopback-in-peer-connection, or use “local-voice talk”.",
      );
    }
    const reply = await this.#call({ sdp, type }, name);
    await peer.setRemoteDescription(reply);
    return reply;
  }

  async #call(offer, name) {
    const options = this.#json(offer, name ? { "X-Conversation": name } : {});
    let response;
    try {
      response = await this.#request("offer", options);
      if (response.status === 401 && (await this.unlock())) response = await this.#request("offer", options);
    } catch {
      throw new Sentence("The server can’t be reached: is local-voice still running?");
    }
    const reply = await response.json().catch(() => ({}));
    if ([429, 503].includes(response.status)) {
      throw new Busy(reply.error ?? "The server is busy.", Number(response.headers.get("Retry-After")) || BUSY_SECONDS);
    }
    if (!response.ok) throw new Sentence(reply.error ?? `The server refused the call (${response.status}).`);
    return reply;
  }

  async #request(path, options = {}) {
    const pass = this.#own ? "" : await this.#pass();
    const headers = { ...options.headers, ...(pass ? { Authorization: `Bearer ${pass}` } : {}) };
    const credentials = this.#own ? "same-origin" : "omit";
    const signal = AbortSignal.timeout((path === "offer" ? CALL_SECONDS : ANSWER_SECONDS) * 1000);
    return fetch(new URL(path, this.#server), { cache: "no-store", credentials, signal, ...options, headers });
  }

  #json(body, headers = {}) {
    return {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    };
  }

  #pass = async () => (typeof this.#token === "function" ? this.#token() : this.#token) ?? "";
}

async function gathered(peer, seconds) {
  const complete = new Promise((done) => {
    const look = () => peer.iceGatheringState === "complete" && done();
    peer.addEventListener("icegatheringstatechange", look);
    look();
  });
  await Promise.race([complete, new Promise((done) => setTimeout(done, seconds * 1000))]);
}
