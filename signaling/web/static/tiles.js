// The tiles of a room: one per participant, and one per shared screen.
import { fit, GAP, split } from './layout.js';

const $ = (id) => document.getElementById(id);
const HUES = [212, 262, 330, 14, 38, 152, 186];
export const SCREEN = 'screen-'; // names of tracks that show a screen begin so

export const isScreen = (named) => (named.trackName ?? named.name).startsWith(SCREEN);

function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function initials(identity) {
  const words = identity.split(/[\s._@-]+/).filter(Boolean);
  const letters = words.slice(0, 2).map((word) => [...word][0]);
  return letters.join('').toUpperCase() || '?';
}

function hue(identity) {
  let sum = 0;
  for (const letter of identity) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return HUES[sum % HUES.length];
}

// The name at the foot of a tile, with what is to be known of its participant.
class Caption {
  constructor(text) {
    this.element = make('figcaption', 'caption');
    this.name = make('span', 'name', text);
    this.name.title = text;
    this.muted = make('span', 'muted');
    this.muted.innerHTML =
      '<svg aria-hidden="true"><use href="#microphone"/><use href="#slash"/></svg>';
    this.muted.append(make('span', 'unseen', 'muted'));
    this.muted.hidden = true;
    this.element.append(this.muted, this.name);
  }
}

export class ParticipantTile {
  // `mine`: the own tile, which is mirrored and never heard.
  constructor(participant, { mine }) {
    const { identity } = participant;
    this.participant = participant;
    this.mine = mine;
    this.element = make('figure', mine ? 'tile me' : 'tile');
    this.element.dataset.sid = participant.sid;
    this.element.dataset.identity = identity;
    const avatar = make('span', 'avatar', initials(identity));
    avatar.setAttribute('aria-hidden', 'true');
    avatar.style.setProperty('--hue', hue(identity));
    this.away = make('span', 'away', 'Reconnecting…');
    this.away.hidden = true;
    this.caption = new Caption(mine ? `${identity} (you)` : identity);
    this.element.append(avatar, this.away, this.caption.element);
    this.screens = new Map(); // track -> element
    $('people').append(this.element);
    this.refresh();
  }

  attach(track) {
    if (track.kind === 'data' || (this.mine && track.kind === 'audio')) return;
    if (track.kind === 'video' && isScreen(track)) {
      this.attachScreen(track);
    } else {
      const element = track.attach();
      if (track.kind === 'video') element.setAttribute('aria-label', `Camera of ${this.participant.identity}`);
      this.element.prepend(element);
    }
    this.refresh();
  }

  attachScreen(track) {
    const { identity } = this.participant;
    const element = make('figure', 'tile screen');
    element.dataset.identity = identity;
    const caption = new Caption(this.mine ? 'Your screen' : `Screen of ${identity}`);
    const video = track.attach();
    video.setAttribute('aria-label', caption.name.textContent);
    element.append(video, caption.element);
    this.screens.set(track, element);
    $('screens').append(element);
    arrange();
  }

  detach(track) {
    if (track.kind === 'data') return;
    for (const element of track.detach()) element.remove();
    this.screens.get(track)?.remove();
    if (this.screens.delete(track)) arrange();
    this.refresh();
  }

  // Shows what is muted and off. The state of a publication may change before its track is here.
  refresh() {
    const publications = [...this.participant.tracks.values()];
    const on = (kind) =>
      publications.some((p) => p.kind === kind && p.isTrackEnabled && !isScreen(p));
    this.caption.muted.hidden = on('audio');
    this.element.classList.toggle('no-video', !on('video'));
  }

  setAway(away) {
    this.away.hidden = !away;
    this.element.classList.toggle('is-away', away);
  }

  remove() {
    for (const { track } of this.participant.tracks.values()) {
      if (track) this.detach(track);
    }
    for (const element of this.screens.values()) element.remove();
    this.screens.clear();
    this.element.remove();
  }
}

function place(box, [width, height], options) {
  const size = fit(Math.max(1, box.childElementCount), width, height, options);
  const used = size.columns * size.width + (size.columns - 1) * GAP;
  box.style.width = `${width}px`;
  box.style.height = `${height}px`;
  // No more tiles in a row than were reckoned with, though more might fit.
  box.style.paddingInline = `${Math.max(0, Math.floor((width - used) / 2))}px`;
  box.style.setProperty('--tile-width', `${size.width}px`);
  box.style.setProperty('--tile-height', `${size.height}px`);
}

// Gives every tile its size; called when their number or the page's size changes.
export function arrange() {
  const box = $('tiles');
  const { clientWidth: width, clientHeight: height } = box;
  const shared = $('screens').childElementCount > 0;
  $('screens').hidden = !shared;
  if (!shared) {
    box.style.flexDirection = 'row';
    place($('people'), [width, height]);
    return;
  }
  const { direction, screens, people } = split(width, height);
  box.style.flexDirection = direction;
  place($('screens'), screens, { whole: true });
  place($('people'), people);
}
