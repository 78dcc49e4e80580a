// What a test does in a page, on the unmodified SDK. Everything is reached through `window.lab`.
import { makePicture, makeTone, watch } from './media.js';

const Video = window.Twilio.Video;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Milliseconds that pages of one machine can compare.
const clock = () => performance.timeOrigin + performance.now();
const describe = (error) =>
  error ? { code: error.code ?? null, name: error.name, message: error.message } : null;

class Lab {
  room = null;
  pending = null;
  events = [];
  made = new Map(); // track name -> {local, stop, pause}

  note(name, details = {}) {
    this.events.push({ name, at: clock(), ...details });
  }

  // Local tracks: {name, kind, number, frequency, width, height} or {name, kind: 'data', ...options}
  make({ name, kind, ...options }) {
    if (kind === 'data') {
      const local = new Video.LocalDataTrack({ name, ...options });
      this.made.set(name, { local, stop: () => {} });
      return local;
    }
    const { track, ...source } = kind === 'video' ? makePicture(options) : makeTone(options);
    const local = kind === 'video'
      ? new Video.LocalVideoTrack(track, { name })
      : new Video.LocalAudioTrack(track, { name });
    this.made.set(name, { local, ...source });
    return local;
  }

  async connect({ token, url, tracks = [], options = {} }) {
    const locals = tracks.map((track) => this.make(track));
    const began = performance.now();
    try {
      this.room = await Video.connect(token, {
        tracks: locals,
        wsServer: url,
        insights: false,
        ...options,
      });
    } catch (error) {
      return { error: describe(error), took: performance.now() - began };
    }
    this.observe(this.room);
    return this.state();
  }

  beginToConnect(request) {
    this.pending = this.connect(request);
  }

  connecting() {
    return this.pending;
  }

  observe(room) {
    for (const name of ['reconnected', 'recordingStarted', 'recordingStopped']) {
      room.on(name, () => this.note(name));
    }
    room.on('transcription', (transcription) => this.note('transcription', { transcription }));
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

  // Watches one participant on the SDK's own track objects.
  // How many RTP packets of each kind have come so far, padding and repairs included.
  async received() {
    const counts = { audio: 0, video: 0 };
    for (const report of (await hooks.connections.at(-1).getStats()).values()) {
      if (report.type === 'inbound-rtp') counts[report.kind] += report.packetsReceived;
    }
    return counts;
  }

  async watch({ identity, video = true, audio = true, name, timeout = 20000, ...options }) {
    const find = async (kind, named) =>
      (await this.remoteWhen(identity, kind, named, timeout)).mediaStreamTrack;
    return watch({
      picture: video ? await find('video', name) : null,
      tone: audio ? await find('audio') : null,
      timeout,
      ...options,
    });
  }

  // What the peer connection says of the video that it sends and receives.
  async videoStatistics() {
    const found = {};
    for (const report of (await hooks.connections.at(-1).getStats()).values()) {
      if (report.kind !== 'video') continue;
      if (report.type === 'inbound-rtp' && report.framesDecoded) found.inbound = { ...report };
      if (report.type === 'outbound-rtp' && report.framesSent) found.outbound = { ...report };
    }
    return found;
  }

  // The same once nothing moves any more: the pictures must be paused everywhere.
  async settledVideo() {
    let last = null;
    let same = 0;
    for (;;) {
      const found = await this.videoStatistics();
      const now = [found.outbound.framesSent, found.inbound.framesDecoded].join();
      same = now === last ? same + 1 : 0;
      if (same === 10) return found;
      last = now;
      await sleep(50);
    }
  }

  pause({ name, on }) {
    this.made.get(name).pause(on);
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

  send({ name, messages }) {
    const { local } = this.made.get(name);
    for (const data of messages) local.send(typeof data === 'string' ? data : new Uint8Array(data));
  }

  // Waits until there are `count` messages on a track and a moment more, and returns what there is.
  async messages({ identity, track, since, skip, count, timeout = 20000 }) {
    const deadline = performance.now() + timeout;
    const read = () => this.events.slice(since)
      .filter((e) => e.name === 'message' && e.identity === identity && e.track === track)
      .map((e) => e.data).filter((data) => data !== skip);
    while (read().length < count && performance.now() < deadline) await sleep(20);
    await sleep(100);
    return read();
  }

  // Returns when it left, by the clock of the events.
  leave() {
    const now = clock();
    this.room.disconnect();
    return now;
  }
}

window.lab = new Lab();
