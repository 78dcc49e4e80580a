// A publisher (WHIP) or viewer (WHEP) with nothing but RTCPeerConnection and fetch, from an origin
// that is not the server's. Everything is reached through `window.plain`.
import { makePicture, makeTone, watch } from './media.js';

class Plain {
  connection = new RTCPeerConnection();
  received = {}; // kind -> MediaStreamTrack
  location = null;
  headers = {};

  async start({ url, token, picture, tone }) {
    const { connection } = this;
    connection.addEventListener('track', ({ track }) => { this.received[track.kind] = track; });
    if (picture) {
      const stream = new MediaStream([makeTone(tone).track, makePicture(picture).track]);
      for (const track of stream.getTracks()) {
        connection.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
      }
    } else {
      connection.addTransceiver('audio', { direction: 'recvonly' });
      connection.addTransceiver('video', { direction: 'recvonly' });
    }
    await connection.setLocalDescription();
    this.headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...this.headers, 'Content-Type': 'application/sdp' },
      body: connection.localDescription.sdp,
    });
    const sdp = await answer.text();
    if (answer.status !== 201) return { status: answer.status, body: sdp };
    this.location = new URL(answer.headers.get('Location'), url).href;
    await connection.setRemoteDescription({ type: 'answer', sdp });
    return { status: answer.status, location: this.location, tag: answer.headers.get('ETag') };
  }

  watch(options) {
    return watch({ picture: this.received.video, tone: this.received.audio, ...options });
  }

  // Sends a candidate; returns the status.
  async trickle(tag) {
    const sdp = this.connection.localDescription.sdp;
    const line = (name) => new RegExp(`a=${name}:.*`).exec(sdp)[0];
    const answer = await fetch(this.location, {
      method: 'PATCH',
      headers: {
        ...this.headers, 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': tag,
      },
      body: [line('ice-ufrag'), line('ice-pwd'), 'm=audio 9 UDP/TLS/RTP/SAVPF 0', line('mid'),
        line('candidate'), ''].join('\r\n'),
    });
    return answer.status;
  }

  // Ends the session at the server; returns the status.
  async end() {
    return (await fetch(this.location, { method: 'DELETE', headers: this.headers })).status;
  }
}

window.plain = new Plain();
