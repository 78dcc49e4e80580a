// What a test does in a page, on the unmodified SDK. Everything is reached through `window.lab`.
import { makePicture, makeTone, PictureReader, ToneReader } from './media.js';

const Video = window.Twilio.Video;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const describe = (error) =>
  error ? { code: error.code ?? null, name: error.name, message: error.message } : null;

class Lab {
  room = null;
  events = [];
  made = new Map(); // track name -> {local, stop}

  note(name, details = {}) {
    this.events.push({ name, at: performance.now(), ...details });
  }

  // Local tracks: {name, kind, number, frequency, width, height} or {name, kind: 'data', ...options}
  make({ name, kind, ...options }) {
    let local;
    let stop = () => {};
    if (kind === 'data') {
      local = new Video.LocalDataTrack({ name, ...options });
    } else {
      const source = kind === 'video' ? makePicture(options) : makeTone(options);
      stop = source.stop;
      local =
        kind === 'video'
          ? new Video.LocalVideoTrack(source.track, { name })
          : new Video.LocalAudioTrack(source.track, { name });
    }
    this.made.set(name, { local, stop });
    return local;
  }

  async connect({ token, url, tracks = [], options = {} }) {
    const locals = tracks.map((track) => this.make(track));
    try {
      this.room = await Video.connect(token, {
        tracks: locals,
        wsServer: url,
        insights: false,
        ...options,
      });
    } catch (error) {
      return { error: describe(error) };
    }
    this.observe(this.room);
    return this.state();
  }

  observe(room) {
    for (const name of ['reconnected', 'recordingStarted', 'recordingStopped']) {
      room.on(name, () => this.note(name));
    }
    room.on('reconnecting', (error) => this.note('reconnecting', { error: describe(error) }));
    room.on('disconnected', (_, error) => this.note('disconnected', { error: describe(error) }));
    for (const name of ['participantDisconnected', 'participantReconnecting', 'participantReconnected']) {
      room.on(name, (participant) => this.note(name, { identity: participant.identity }));
    }
    room.on('participantConnected', (participant) => {
      this.note('participantConnected', { identity: participant.identity });
      this.observeRemote(participant);
    });
    room.participants.forEach((participant) => this.observeRemote(participant));
    room.localParticipant.on('trackPublished', (publication) =>
      this.note('localTrackPublished', { track: publication.trackName, sid: publication.trackSid }));
    room.localParticipant.on('trackPublicationFailed', (error, track) =>
      this.note('trackPublicationFailed', { track: track.name, error: describe(error) }));
  }

  observeRemote(participant) {
    const identity = participant.identity;
    const hear = (track) => {
      if (track.kind !== 'data') return;
      track.on('message', (data) =>
        this.note('message', {
          identity,
          track: track.name,
          data: typeof data === 'string' ? data : [...new Uint8Array(data)],
          binary: typeof data !== 'string',
        }));
    };
    for (const name of ['trackSubscribed', 'trackUnsubscribed', 'trackStarted']) {
      participant.on(name, (track) =>
        this.note(name, { identity, track: track.name, sid: track.sid, kind: track.kind }));
    }
    participant.on('trackSubscribed', hear);
    for (const name of ['trackPublished', 'trackUnpublished', 'trackEnabled', 'trackDisabled']) {
      participant.on(name, (publication) =>
        this.note(name, { identity, track: publication.trackName, sid: publication.trackSid }));
    }
    participant.on('trackSubscriptionFailed', (error) =>
      this.note('trackSubscriptionFailed', { identity, error: describe(error) }));
    participant.tracks.forEach((publication) => publication.track && hear(publication.track));
  }

  state() {
    const { room } = this;
    const tracks = (participant) =>
      [...participant.tracks.values()].map((p) => ({
        sid: p.trackSid,
        name: p.trackName,
        kind: p.kind,
        enabled: p.isTrackEnabled,
        subscribed: p.isSubscribed ?? null,
      }));
    return {
      sid: room.sid,
      name: room.name,
      state: room.state,
      mediaRegion: room.mediaRegion,
      signalingRegion: room.localParticipant.signalingRegion,
      me: {
        sid: room.localParticipant.sid,
        identity: room.localParticipant.identity,
        tracks: tracks(room.localParticipant),
      },
      participants: [...room.participants.values()].map((p) => ({
        sid: p.sid,
        identity: p.identity,
        state: p.state,
        tracks: tracks(p),
      })),
    };
  }

  async waitFor({ name, match = {}, timeout = 20000, since = 0 }) {
    const deadline = performance.now() + timeout;
    for (;;) {
      const found = this.events.slice(since).find((event) =>
        event.name === name && Object.entries(match).every(([key, value]) => event[key] === value));
      if (found) return found;
      if (performance.now() > deadline) {
        throw new Error(`no ${name} ${JSON.stringify(match)} within ${timeout} ms; had ` +
          JSON.stringify(this.events.slice(since).map((event) => [event.name, event.identity, event.track])));
      }
      await sleep(20);
    }
  }

  remote(identity, kind, name) {
    const participant = [...this.room.participants.values()].find((p) => p.identity === identity);
    const publication = participant && [...participant.tracks.values()].find(
      (p) => p.kind === kind && p.track && (!name || p.trackName === name));
    return publication ? publication.track : null;
  }

  async remoteWhen(identity, kind, name, timeout) {
    const deadline = performance.now() + timeout;
    for (;;) {
      const track = this.remote(identity, kind, name);
      if (track?.mediaStreamTrack) return track;
      if (performance.now() > deadline) throw new Error(`no ${kind} track of ${identity}`);
      await sleep(50);
    }
  }

  // Watches one participant's picture and tone on the SDK's own track objects. Returns what was
  // seen in `ms` milliseconds, begun when the first picture (or tone) was there.
  async watch({ identity, ms = 5000, video = true, audio = true, name, timeout = 20000 }) {
    const result = { numbers: {}, frames: 0, seconds: ms / 1000, longestFreeze: 0, tones: {}, width: 0, height: 0 };
    const picture = video
      ? new PictureReader((await this.remoteWhen(identity, 'video', name, timeout)).mediaStreamTrack)
      : null;
    const tone = audio
      ? new ToneReader((await this.remoteWhen(identity, 'audio', undefined, timeout)).mediaStreamTrack)
      : null;
    try {
      const patience = performance.now() + timeout;
      while ((picture && !picture.read()) || (tone && !tone.read())) {
        if (performance.now() > patience) {
          throw new Error(`nothing to see or hear of ${identity}: picture ` +
            `${JSON.stringify(picture?.read())} ${picture?.video.videoWidth}, tone ${tone?.read()}`);
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
          if (last === null) last = seen.counter;
          const step = (seen.counter - last) & 0xffff;
          if (step > 0 && step < 0x8000) {
            result.frames += step;
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

  async publish(track) {
    const local = this.make(track);
    try {
      const publication = await this.room.localParticipant.publishTrack(local);
      return { sid: publication.trackSid };
    } catch (error) {
      return { error: describe(error) };
    }
  }

  unpublish(name) {
    const { local, stop } = this.made.get(name);
    this.room.localParticipant.unpublishTrack(local);
    stop();
    this.made.delete(name);
  }

  setEnabled({ name, enabled }) {
    const { local } = this.made.get(name);
    if (enabled) local.enable(); else local.disable();
  }

  send({ name, data }) {
    this.made.get(name).local.send(typeof data === 'string' ? data : new Uint8Array(data));
  }

  leave() {
    this.room.disconnect();
  }
}

window.lab = new Lab();
