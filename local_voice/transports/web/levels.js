// How loud the two sides of a conversation are at this moment.

export class Ears {
  #context;
  #sources = {};

  constructor(context) {
    this.#context = context;
    context.resume().catch(() => {});
  }

  listen = (stream) => this.#attach("user", stream);
  hear = (stream) => this.#attach("assistant", stream);
  user = () => this.#level("user");
  assistant = () => this.#level("assistant");

  close() {
    for (const { source } of Object.values(this.#sources)) source.disconnect();
    this.#sources = {};
  }

  #attach(side, stream) {
    this.#sources[side]?.source.disconnect();
    delete this.#sources[side];
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    let source;
    try {
      source = this.#context.createMediaStreamSource(stream);
    } catch {
      return; // Firefox takes no microphone whose rate is another: the conversation goes on without its level
    }
    source.connect(analyser);
    this.#sources[side] = { source, analyser, samples: new Float32Array(analyser.fftSize) };
  }

  // -60 dB to 0 dB of full scale, as 0 to 1.
  #level(side) {
    const found = this.#sources[side];
    if (!found) return 0;
    found.analyser.getFloatTimeDomainData(found.samples);
    const power = found.samples.reduce((sum, sample) => sum + sample * sample, 0) / found.samples.length;
    return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-9)) / 60));
  }
}
