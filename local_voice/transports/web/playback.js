// How far the assistant's voice has really been played here, and what this microphone really is: the server
// writes only what was heard into the conversation's history, and cancels echo where this browser doesn't.
// Times are in seconds.

const LOOK_SECONDS = 0.1;
const QUIET_SECONDS = 1; // between reports while nothing is to be heard

// What the browser made of what was asked for.
export function hello(track) {
  const { echoCancellation, noiseSuppression, autoGainControl, sampleRate } = track.getSettings();
  return {
    type: "hello",
    echo_cancellation: Boolean(echoCancellation), // newer browsers say "all" or "remote-only": both take us out
    noise_suppression: noiseSuppression,
    auto_gain_control: autoGainControl,
    sample_rate: sampleRate,
  };
}

export class Playback {
  #peer;
  #seen = {};
  #latency; // seconds from the browser's mixer to the ear; undefined where it doesn't say
  #context; // only where there are no statistics of the output
  #reported = -Infinity;

  constructor(peer) {
    this.#peer = peer;
  }

  // Report while `open()`: often while there is something to hear (`speaking()` or sound), else each second.
  async report(send, open, speaking) {
    while (open()) {
      const source = this.#source();
      const now = performance.now() / 1000;
      const audible = speaking() || (source?.audioLevel ?? 0) > 0;
      if (source && (audible || now - this.#reported >= QUIET_SECONDS)) {
        this.#reported = now;
        send({ type: "played", timestamp: source.rtpTimestamp, latency: this.#latency });
      }
      await new Promise((done) => setTimeout(done, LOOK_SECONDS * 1000));
    }
    this.#context?.close();
  }

  // What was last handed to the output; undefined in browsers that don't say.
  #source() {
    const receiver = this.#peer.getReceivers().find(({ track }) => track.kind === "audio");
    const source = receiver?.getSynchronizationSources?.()[0];
    return Number.isInteger(source?.rtpTimestamp) ? source : undefined;
  }

  // Seconds from the server's sending to the ear: half the way there and back, the jitter buffer, the device.
  // The server uses this estimate where there are no reports. undefined where nothing is known.
  async delay() {
    let total = 0;
    let latency;
    for (const report of (await this.#peer.getStats()).values()) {
      if (report.type === "inbound-rtp" && report.kind === "audio") {
        total += this.#lately(report, "jitterBufferDelay", "jitterBufferEmittedCount") ?? 0;
      } else if (report.type === "media-playout") {
        latency = this.#lately(report, "totalPlayoutDelay", "totalSamplesCount");
      } else if (report.type === "candidate-pair" && report.nominated) {
        total += (report.currentRoundTripTime ?? 0) / 2;
      }
    }
    this.#latency = latency ?? this.#contextLatency() ?? this.#latency;
    total += this.#latency ?? 0;
    return total > 0 ? total : undefined;
  }

  // The mean since the last look; undefined when nothing has passed since then.
  #lately(report, sum, count) {
    const before = this.#seen[report.id] ?? { sum: 0, count: 0 };
    const after = { sum: report[sum] ?? 0, count: report[count] ?? 0 };
    this.#seen[report.id] = after;
    return after.count > before.count ? (after.sum - before.sum) / (after.count - before.count) : undefined;
  }

  #contextLatency() {
    this.#context ??= new AudioContext();
    const { baseLatency, outputLatency } = this.#context;
    return outputLatency > 0 ? outputLatency + (baseLatency ?? 0) : undefined;
  }
}
