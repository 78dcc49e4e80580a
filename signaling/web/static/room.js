// The room page: join, leave, mute, camera, screen share, a tile per participant.
import { arrange, ParticipantTile, SCREEN } from './tiles.js';

const Video = window.Twilio.Video;
const $ = (id) => document.getElementById(id);
const NOTICE_MS = 6000;
const DEVICES = [
  { audio: true, video: { width: 1280, height: 720 } },
  { audio: true },
  { video: { width: 1280, height: 720 } },
];

const tiles = new Map(); // participant SID -> ParticipantTile
let settings = { dev: false, signalingPath: '/signaling' };
let room = null;
let screen = null; // our LocalVideoTrack that shows a screen

// The lobby.

function fillLobby() {
  const query = new URLSearchParams(location.search);
  $('identity').value = query.get('identity') ?? localStorage.getItem('parlour.identity') ?? '';
  $('room-name').value = query.get('room') ?? 'lobby';
  // Without development tokens the name comes from the access token.
  $('token-field').hidden = settings.dev;
  $('token').required = !settings.dev;
  $('identity-label').hidden = !settings.dev;
  $('identity').required = settings.dev;
}

async function fetchToken(identity, name) {
  if (!settings.dev) return $('token').value.trim();
  const answer = await fetch('/dev/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ identity, room: name }),
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body.token;
  throw new Error(body.message ?? `The server gave no access token (HTTP ${answer.status}).`);
}

// Opens as many devices as there are; tells what is missing.
async function openDevices() {
  for (const wanted of DEVICES) {
    try {
      const tracks = await Video.createLocalTracks(wanted);
      const missing = ['audio', 'video'].filter((kind) => !wanted[kind]);
      return { tracks, missing };
    } catch (error) {
      console.info('not available:', Object.keys(wanted).join(' and '), error.name);
    }
  }
  return { tracks: [], missing: ['audio', 'video'] };
}

async function join(event) {
  event.preventDefault();
  if (room || $('join').disabled) return;
  const name = $('room-name').value.trim();
  const identity = $('identity').value.trim();
  $('join').disabled = true;
  $('join').textContent = 'Joining…';
  $('lobby-message').textContent = '';
  let devices = { tracks: [], missing: [] };
  try {
    const token = await fetchToken(identity, name);
    devices = await openDevices();
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    room = await Video.connect(token, {
      name,
      tracks: devices.tracks,
      wsServer: `${scheme}://${location.host}${settings.signalingPath}`,
      insights: false,
    });
    if (settings.dev) localStorage.setItem('parlour.identity', identity);
    enter(devices.missing);
  } catch (error) {
    for (const track of devices.tracks) track.stop();
    $('lobby-message').textContent = describe(error);
  } finally {
    $('join').disabled = false;
    $('join').textContent = 'Join';
  }
}

function describe(error) {
  return error.code ? `${error.message} (${error.code})` : error.message;
}

// The room.

function enter(missing) {
  document.body.dataset.state = 'room';
  document.title = `${room.name} – Parlour`;
  $('title').textContent = room.name;
  $('title').title = room.name;
  $('mute').disabled = missing.includes('audio');
  $('camera-off').disabled = missing.includes('video');
  $('share').hidden = !navigator.mediaDevices?.getDisplayMedia;
  const link = new URL(location.pathname, location.href);
  link.searchParams.set('room', room.name);
  history.replaceState(null, '', link);
  if (missing.length) {
    const names = missing.map((kind) => (kind === 'audio' ? 'microphone' : 'camera'));
    notify(`You are without ${names.join(' and ')}. ` +
      (isSecureContext ? 'Is it connected, and may this page use it?' : 'Browsers allow them only over https.'));
  }
  room.on('participantConnected', (participant) => {
    show(participant, false);
    notify(`${participant.identity} has joined.`);
  });
  room.on('participantDisconnected', (participant) => {
    hide(participant);
    notify(`${participant.identity} has left.`);
  });
  room.on('participantReconnecting', ({ sid }) => tiles.get(sid)?.setAway(true));
  room.on('participantReconnected', ({ sid }) => tiles.get(sid)?.setAway(false));
  room.on('reconnecting', () => { $('status').textContent = 'Reconnecting…'; });
  room.on('reconnected', count);
  room.on('disconnected', (_, error) => exit(error));
  show(room.localParticipant, true);
  room.participants.forEach((participant) => show(participant, false));
  $('title').focus();
}

function exit(error) {
  for (const tile of tiles.values()) tile.remove();
  tiles.clear();
  for (const { track } of room.localParticipant.tracks.values()) track.stop?.();
  room.removeAllListeners();
  room = null;
  screen = null;
  for (const id of ['mute', 'camera-off', 'share']) press(id, false);
  $('notices').replaceChildren();
  document.body.dataset.state = 'lobby';
  document.title = 'Parlour';
  $('lobby-message').textContent = error ? describe(error) : '';
  $('join').focus();
}

function show(participant, mine) {
  const tile = new ParticipantTile(participant, { mine });
  tiles.set(participant.sid, tile);
  participant.tracks.forEach(({ track }) => track && tile.attach(track));
  participant.on('trackSubscribed', (track) => tile.attach(track));
  participant.on('trackUnsubscribed', (track) => tile.detach(track));
  for (const name of ['trackEnabled', 'trackDisabled', 'trackPublished', 'trackUnpublished']) {
    participant.on(name, () => tile.refresh());
  }
  participant.on('trackPublicationFailed', (error, track) => {
    tile.detach(track);
    notify(`Your ${track.kind} is not sent: ${describe(error)}`);
  });
  participant.on('trackSubscriptionFailed', (error) =>
    notify(`A track of ${participant.identity} cannot be received: ${describe(error)}`));
  arrange();
  count();
}

function hide({ sid }) {
  tiles.get(sid)?.remove();
  tiles.delete(sid);
  arrange();
  count();
}

function count() {
  const others = room.participants.size;
  $('status').textContent = others ? `${others + 1} people` : 'You are alone here';
}

// A message that goes away by itself.
function notify(text) {
  const notice = document.createElement('p');
  notice.textContent = text;
  $('notices').append(notice);
  setTimeout(() => notice.remove(), NOTICE_MS);
}

// The controls.

function press(id, on) {
  $(id).setAttribute('aria-pressed', String(on));
}

function toggle(id, kind) {
  const off = $(id).getAttribute('aria-pressed') !== 'true';
  for (const { track } of room.localParticipant.tracks.values()) {
    if (track.kind !== kind || track === screen) continue;
    if (off) track.disable(); else track.enable();
  }
  press(id, off);
  tiles.get(room.localParticipant.sid).refresh();
}

async function share() {
  if (screen) {
    stopSharing();
    return;
  }
  $('share').disabled = true;
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 } });
    await publishScreen(stream.getVideoTracks()[0]);
  } catch (error) {
    // Who changes their mind in the browser's dialogue needs no message.
    if (error.name !== 'NotAllowedError') notify(`The screen is not shared: ${describe(error)}`);
  } finally {
    $('share').disabled = false;
  }
}

async function publishScreen(media) {
  if (!room) {
    media.stop();
    return;
  }
  const track = new Video.LocalVideoTrack(media, { name: `${SCREEN}${Date.now()}` });
  screen = track;
  media.addEventListener('ended', () => { if (screen === track) stopSharing(); });
  tiles.get(room.localParticipant.sid).attach(track);
  press('share', true);
  try {
    await room.localParticipant.publishTrack(track);
  } catch {
    // What was wrong is told by trackPublicationFailed.
    if (screen === track) stopSharing();
  }
}

function stopSharing() {
  const track = screen;
  screen = null;
  press('share', false);
  track.stop();
  room.localParticipant.unpublishTrack(track);
  tiles.get(room.localParticipant.sid).detach(track);
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    notify('The link to this room is copied.');
  } catch {
    notify(location.href);
  }
}

$('join-form').addEventListener('submit', join);
$('mute').addEventListener('click', () => toggle('mute', 'audio'));
$('camera-off').addEventListener('click', () => toggle('camera-off', 'video'));
$('share').addEventListener('click', share);
$('copy').addEventListener('click', copyLink);
$('leave').addEventListener('click', () => room?.disconnect());
new ResizeObserver(arrange).observe($('tiles'));
window.addEventListener('pagehide', () => room?.disconnect());
window.parlour = { get room() { return room; } };

try {
  settings = await (await fetch('/page/settings.json')).json();
} catch (error) {
  $('lobby-message').textContent = `The server cannot be reached: ${error.message}`;
}
fillLobby();
document.body.dataset.ready = 'true';
