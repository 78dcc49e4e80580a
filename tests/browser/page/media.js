// Media that can be told apart: a picture that carries a number and a running frame counter, and a
// tone of a known frequency; and the readers that find them again in a received track.
const COLUMNS = 8;
const ROWS = 5; // number, counter high byte, counter low byte, number inverted; detail, or black
const READ = 4; // rows that are read
const RATE = 30;
const NOISE = 11; // pixels, which is no part of a macroblock

let context = null;

function audioContext() {
  context ??= new AudioContext();
  if (context.state === 'suspended') context.resume();
  return context;
}

// With `detail` a part of the picture is noise, which keeps an encoder busy: several packets a frame.
export function makePicture({ number, width = 320, height = 240, detail = false }) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d', { alpha: false });
  const w = width / COLUMNS;
  const h = height / ROWS;
  const noise = detail ? makeNoise(width, Math.floor(h)) : [];
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
    if (detail) pen.putImageData(noise[counter % noise.length], 0, Math.ceil(READ * h));
  };
  draw();
  let timer = setInterval(draw, 1000 / RATE);
  // Without a rate every drawn picture is taken. Given one, Firefox takes by a clock of its own, which
  // beats with ours: a third of the pictures is never sent.
  const track = canvas.captureStream().getVideoTracks()[0];
  return {
    track,
    pause: (on) => {
      clearInterval(timer);
      if (!on) timer = setInterval(draw, 1000 / RATE);
    },
    stop: () => { clearInterval(timer); track.stop(); },
  };
}

// Squares of random grey: as much for an encoder to do as it gets bits for, and no more.
function makeNoise(width, height) {
  return Array.from({ length: 7 }, () => {
    const image = new ImageData(width, height);
    const words = new Uint32Array(image.data.buffer);
    const across = Math.ceil(width / NOISE);
    const greys = Uint8Array.from(
      { length: across * Math.ceil(height / NOISE) }, () => Math.random() * 256);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const grey = greys[Math.floor(y / NOISE) * across + Math.floor(x / NOISE)];
        words[y * width + x] = 0xff000000 | (grey * 0x010101);
      }
    }
    return image;
  });
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
    for (let row = 0; row < READ; row++) {
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

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Watches a picture and a tone (MediaStreamTracks; null: not watched). Returns what was seen in `ms`
// milliseconds, begun when the first picture (with `number`: the first such picture) and tone were
// there: by how much the counter advanced, how many different pictures there were, and the longest
// time between two of them. A slot that was used before shows its last picture until a new one comes.
export async function watch({
  picture: pictureTrack, tone: toneTrack, number = null, ms = 5000, timeout = 20000,
}) {
  const result = { numbers: {}, advance: 0, pictures: 0, longestFreeze: 0, tones: {} };
  const picture = pictureTrack ? new PictureReader(pictureTrack) : null;
  const tone = toneTrack ? new ToneReader(toneTrack) : null;
  try {
    const patience = performance.now() + timeout;
    const pictured = () => {
      const seen = picture.read();
      return seen && (number === null || seen.number === number);
    };
    while ((picture && !pictured()) || (tone && !tone.read())) {
      if (performance.now() > patience) {
        throw new Error(`nothing to see or hear: picture ${JSON.stringify(picture?.read())} ` +
          `${picture?.video.videoWidth}, tone ${tone?.read()}`);
      }
      await sleep(20);
    }
    const start = performance.now();
    let last = null;
    let changed = start;
    while (performance.now() - start < ms) {
      const seen = picture?.read();
      if (seen) {
        result.numbers[seen.number] = (result.numbers[seen.number] ?? 0) + 1;
        last ??= seen.counter;
        const step = (seen.counter - last) & 0xffff;
        if (step > 0 && step < 0x8000) {
          result.advance += step;
          result.pictures++;
          result.longestFreeze = Math.max(result.longestFreeze, performance.now() - changed);
          changed = performance.now();
          last = seen.counter;
        }
      }
      const heard = tone?.read();
      if (heard) {
        const rounded = Math.round(heard / 50) * 50;
        result.tones[rounded] = (result.tones[rounded] ?? 0) + 1;
      }
      await sleep(10);
    }
    result.longestFreeze = Math.max(result.longestFreeze, performance.now() - changed);
    result.seconds = (performance.now() - start) / 1000;
    result.width = picture?.video.videoWidth ?? 0;
    result.height = picture?.video.videoHeight ?? 0;
    return result;
  } finally {
    picture?.close();
    tone?.close();
  }
}
