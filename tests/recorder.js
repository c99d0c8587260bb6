// Keeps every block that reaches it, with the number of its first frame. See Recorder in browser.py.
class Recorder extends AudioWorkletProcessor {
  process([input]) {
    this.port.postMessage([currentFrame, input[0] ? input[0].slice() : null]);
    return true;
  }
}
registerProcessor("recorder", Recorder);
