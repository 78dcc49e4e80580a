// Media that can be told apart: a picture that carries a number and a running frame counter, and a
// tone of a known frequency; and the readers that find them again in a received track.
const COLUMNS = 8;
const ROWS = 4; // number, counter high byte, counter low byte, number inverted
const RATE = 30;

let context = null;

function audioContext() {
  context ??= new AudioContext();
  if (context.state === 'suspended') context.resume();
  return context;
}

export function makePicture({ number, width = 320, height = 240 }) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d', { alpha: false });
  const w = width / COLUMNS;
  const h = height / ROWS;
  let counter = 0;
  const draw = () => {
    counter = (counter + 1) & 0xffff;
    const rows = [number & 0xff, counter >> 8, counter & 0xff, ~number & 0xff];
    rows.forEach((byte, row) => {
      for (let bit = 0; bit < COLUMNS; bit++) {
        pen.fillStyle = byte & (0x80 >> bit) ? '#fff' : '#000';
        pen.fillRect(bit * w, row * h, w, h);
      }
    });
  };
  draw();
  const timer = setInterval(draw, 1000 / RATE);
  const track = canvas.captureStream(RATE).getVideoTracks()[0];
  return { track, stop: () => { clearInterval(timer); track.stop(); } };
}

export function makeTone({ frequency }) {
  const audio = audioContext();
  const oscillator = audio.createOscillator();
  oscillator.frequency.value = frequency;
  const gain = audio.createGain();
  gain.gain.value = 0.4;
  const out = audio.createMediaStreamDestination();
  oscillator.connect(gain).connect(out);
  oscillator.start();
  const track = out.stream.getAudioTracks()[0];
  return { track, stop: () => { oscillator.stop(); track.stop(); } };
}

// Reads pictures from a MediaStreamTrack; `read` gives {number, counter} or null while there is none.
export class PictureReader {
  constructor(track) {
    this.track = track;
    this.video = document.createElement('video');
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.srcObject = new MediaStream([track]);
    document.body.append(this.video);
    this.video.play().catch(() => {});
    this.canvas = document.createElement('canvas');
    this.canvas.width = COLUMNS * 4;
    this.canvas.height = ROWS * 4;
    this.pen = this.canvas.getContext('2d', { willReadFrequently: true });
  }

  read() {
    if (!this.video.videoWidth || this.video.readyState < 2) return null;
    const { width, height } = this.canvas;
    this.pen.drawImage(this.video, 0, 0, width, height);
    const { data } = this.pen.getImageData(0, 0, width, height);
    const rows = [0, 0, 0, 0];
    for (let row = 0; row < ROWS; row++) {
      for (let bit = 0; bit < COLUMNS; bit++) {
        const at = ((row * 4 + 2) * width + bit * 4 + 2) * 4;
        if (data[at] > 127) rows[row] |= 0x80 >> bit;
      }
    }
    if (rows[0] !== (~rows[3] & 0xff)) return null;
    return { number: rows[0], counter: (rows[1] << 8) | rows[2] };
  }

  close() {
    this.video.srcObject = null;
    this.video.remove();
  }
}

// Finds the strongest frequency of a MediaStreamTrack, in Hz; 0 while it is silent.
export class ToneReader {
  constructor(track) {
    const audio = audioContext();
    const stream = new MediaStream([track]);
    // Chromium lets the sound of a peer connection flow only while an element plays it.
    this.element = document.createElement('audio');
    this.element.muted = true;
    this.element.srcObject = stream;
    document.body.append(this.element);
    this.element.play().catch(() => {});
    this.source = audio.createMediaStreamSource(stream);
    this.analyser = audio.createAnalyser();
    this.analyser.fftSize = 4096;
    this.analyser.smoothingTimeConstant = 0;
    this.source.connect(this.analyser);
    this.bins = new Float32Array(this.analyser.frequencyBinCount);
  }

  read() {
    this.analyser.getFloatFrequencyData(this.bins);
    let best = 2;
    for (let i = 3; i < this.bins.length; i++) if (this.bins[i] > this.bins[best]) best = i;
    if (this.bins[best] < -70) return 0;
    return (best * audioContext().sampleRate) / this.analyser.fftSize;
  }

  close() {
    this.source.disconnect();
    this.element.srcObject = null;
    this.element.remove();
  }
}
