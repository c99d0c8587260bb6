// Opens the microphone, and says what helps where it can't be opened.

let still = null;

export class Sentence extends Error {} // an error whose message is meant for the user

export async function openMicrophone(device = "") {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    const port = location.port || "80";
    throw new Sentence(
      "Browsers give the microphone only to pages from localhost or over HTTPS. Run " +
        `“ssh -L ${port}:localhost:${port} ${location.hostname}” on this computer and open ` +
        `http://localhost:${port} here, or start the server with --tls self-signed.`,
    );
  }
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const missing = "No microphone was found: plug one in, then press Talk. Or write your message below.";
  try {
    // A device that was chosen once and is gone gives way to the system's own.
    return await navigator.mediaDevices.getUserMedia({
      audio: device ? { ...audio, deviceId: { ideal: device } } : audio,
    });
  } catch (error) {
    throw new Sentence(
      {
        NotAllowedError:
          "The microphone was refused: allow it for this page in the browser’s address bar, then press Talk. " +
          "Or write your message below.",
        NotFoundError: missing,
        OverconstrainedError: missing, // what WebKit says where there is none at all
        NotReadableError: "The microphone can’t be opened: another program may be using it. Close it, then press Talk.",
      }[error.name] ?? `The microphone can’t be used: ${error.message}`,
    );
  }
}

// For those who write: a microphone that hears nothing.
export function silence() {
  still ??= new AudioContext();
  const nothing = still.createConstantSource(); // without a source, browsers send no packets at all
  const destination = still.createMediaStreamDestination();
  nothing.offset.value = 0;
  nothing.connect(destination);
  nothing.start();
  still.resume().catch(() => {});
  return destination.stream;
}
