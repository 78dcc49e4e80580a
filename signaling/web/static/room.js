// The room page: join, leave, mute, camera, screen share, one tile per participant.
const Video = window.Twilio.Video;
const $ = (id) => document.getElementById(id);
const tiles = new Map();
let room = null;
let screen = null;

const query = new URLSearchParams(location.search);
$('identity').value = query.get('identity') ?? localStorage.getItem('parlour.identity') ?? '';
$('room-name').value = query.get('room') ?? 'lobby';

async function fetchToken(identity, name) {
  const pasted = $('token').value.trim();
  if (pasted) return pasted;
  const answer = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ identity, room: name }),
  });
  if (answer.ok) return (await answer.json()).token;
  $('token-label').hidden = false;
  throw new Error('This server hands out no development tokens. Paste an access token to join.');
}

async function openDevices() {
  try {
    return await Video.createLocalTracks({ audio: true, video: { width: 1280, height: 720 } });
  } catch (error) {
    console.warn('no camera or microphone:', error);
    try {
      return await Video.createLocalTracks({ audio: true });
    } catch {
      return [];
    }
  }
}

async function join(event) {
  event.preventDefault();
  const identity = $('identity').value.trim();
  const name = $('room-name').value.trim();
  $('join').disabled = true;
  $('lobby-message').textContent = '';
  let tracks = [];
  try {
    const token = await fetchToken(identity, name);
    tracks = await openDevices();
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    room = await Video.connect(token, {
      name,
      tracks,
      wsServer: `${scheme}://${location.host}/signaling`,
      insights: false,
    });
    localStorage.setItem('parlour.identity', identity);
    enter();
  } catch (error) {
    for (const track of tracks) track.stop();
    $('lobby-message').textContent = error.code ? `${error.message} (${error.code})` : error.message;
  } finally {
    $('join').disabled = false;
  }
}

function enter() {
  document.body.dataset.state = 'room';
  $('title').textContent = room.name;
  show(room.localParticipant, true);
  room.participants.forEach((participant) => show(participant, false));
  room.on('participantConnected', (participant) => show(participant, false));
  room.on('participantDisconnected', hide);
  room.on('participantReconnecting', (participant) => mark(participant, 'away', true));
  room.on('participantReconnected', (participant) => mark(participant, 'away', false));
  room.on('reconnecting', () => { $('status').textContent = 'Reconnecting…'; });
  room.on('reconnected', count);
  room.on('disconnected', (_, error) => exit(error));
  count();
}

function exit(error) {
  for (const publication of room.localParticipant.tracks.values()) publication.track.stop?.();
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
  room = null;
  screen = null;
  for (const id of ['mute', 'camera', 'share']) press(id, false);
  document.body.dataset.state = 'lobby';
  $('lobby-message').textContent = error ? `${error.message} (${error.code})` : '';
}

function show(participant, mine) {
  const tile = document.createElement('article');
  tile.className = mine ? 'tile me no-video' : 'tile no-video';
  tile.dataset.sid = participant.sid;
  tile.dataset.identity = participant.identity;
  tile.dataset.initial = [...participant.identity][0]?.toUpperCase() ?? '?';
  const name = document.createElement('span');
  name.className = 'name';
  name.textContent = mine ? `${participant.identity} (you)` : participant.identity;
  tile.append(name);
  tiles.set(participant.sid, tile);
  $('grid').append(tile);

  const attach = (track) => {
    if (track.kind === 'data' || (mine && track.kind === 'audio')) return;
    const element = track.attach();
    element.dataset.track = track.name;
    if (mine && track !== screen) element.classList.add('camera');
    tile.append(element);
    refresh(participant);
  };
  const detach = (track) => {
    if (track.kind === 'data') return;
    for (const element of track.detach()) element.remove();
    refresh(participant);
  };
  if (mine) {
    participant.tracks.forEach((publication) => attach(publication.track));
  } else {
    participant.tracks.forEach((publication) => publication.track && attach(publication.track));
    participant.on('trackSubscribed', attach);
    participant.on('trackUnsubscribed', detach);
  }
  for (const name of ['trackEnabled', 'trackDisabled', 'trackPublished', 'trackUnpublished']) {
    participant.on(name, () => refresh(participant));
  }
  participant.attachTrack = attach;
  participant.detachTrack = detach;
  refresh(participant);
  layout();
  count();
}

function hide(participant) {
  tiles.get(participant.sid)?.remove();
  tiles.delete(participant.sid);
  layout();
  count();
}

function refresh(participant) {
  const publications = [...participant.tracks.values()];
  const on = (kind) => publications.some((p) => p.kind === kind && p.isTrackEnabled);
  mark(participant, 'muted', !on('audio'));
  mark(participant, 'no-video', !on('video'));
}

function mark(participant, name, value) {
  tiles.get(participant.sid)?.classList.toggle(name, value);
}

function count() {
  if (!room) return;
  const others = room.participants.size;
  $('status').textContent =
    others === 0 ? 'You are alone here' : `${others + 1} people`;
}

// The number of columns that makes 16:9 tiles largest.
function layout() {
  const grid = $('grid');
  const n = tiles.size || 1;
  const { clientWidth: width, clientHeight: height } = grid;
  let best = 1;
  let largest = 0;
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const size = Math.min(width / columns / 16, height / rows / 9);
    if (size > largest) [largest, best] = [size, columns];
  }
  grid.style.setProperty('--columns', best);
}

function press(id, on) {
  $(id).setAttribute('aria-pressed', String(on));
}

function toggle(kind, button) {
  const off = button.getAttribute('aria-pressed') !== 'true';
  const tracks = kind === 'audio' ? room.localParticipant.audioTracks : room.localParticipant.videoTracks;
  tracks.forEach(({ track }) => {
    if (track === screen) return;
    if (off) track.disable(); else track.enable();
  });
  press(button.id, off);
  refresh(room.localParticipant);
}

async function share() {
  const me = room.localParticipant;
  if (screen) {
    const track = screen;
    screen = null;
    me.unpublishTrack(track);
    me.detachTrack(track);
    track.stop();
    press('share', false);
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 } });
    screen = new Video.LocalVideoTrack(stream.getVideoTracks()[0], { name: `screen-${Date.now()}` });
  } catch (error) {
    $('status').textContent = `Screen sharing was not started: ${error.message}`;
    return;
  }
  screen.mediaStreamTrack.addEventListener('ended', () => { if (screen) share(); });
  me.attachTrack(screen);
  await me.publishTrack(screen);
  press('share', true);
}

$('join-form').addEventListener('submit', join);
$('mute').addEventListener('click', () => toggle('audio', $('mute')));
$('camera').addEventListener('click', () => toggle('video', $('camera')));
$('share').addEventListener('click', share);
$('leave').addEventListener('click', () => room?.disconnect());
new ResizeObserver(layout).observe($('grid'));
window.addEventListener('pagehide', () => room?.disconnect());
window.parlour = { get room() { return room; } };
