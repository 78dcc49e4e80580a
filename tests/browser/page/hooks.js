// Lets a test look at, and cut, what the SDK opens. Runs before the bundle, which stays unmodified.
(() => {
  const hooks = { sockets: [], messages: [], connections: [], descriptions: 0, blocked: false };
  window.hooks = hooks;
  const until = async (condition) => {
    for (let i = 0; i < 1000; i++) {
      if (condition()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`never: ${condition}`);
  };
  // Waits until the server has sent this type of message so many times.
  hooks.received = (type, times) =>
    until(() => hooks.messages.filter((message) => message === type).length >= times);
  hooks.iceConnected = () => until(() => hooks.connections.at(-1).iceConnectionState === 'connected');
  // The server's ICE user name fragment: a new one means that ICE was restarted.
  hooks.remoteUfrag = () =>
    /a=ice-ufrag:(\S+)/.exec(hooks.connections.at(-1).remoteDescription.sdp)[1];
  window.WebSocket = new Proxy(window.WebSocket, {
    construct(target, args) {
      // Port 9 of loopback: nobody answers, as when the server cannot be reached.
      const socket = new target(hooks.blocked ? 'ws://127.0.0.1:9/' : args[0]);
      hooks.sockets.push(socket);
      socket.addEventListener('message', ({ data }) => hooks.messages.push(JSON.parse(data).type));
      return socket;
    },
  });
  window.RTCPeerConnection = new Proxy(window.RTCPeerConnection, {
    construct(target, args) {
      const connection = new target(...args);
      hooks.connections.push(connection);
      connection.addEventListener('track', ({ receiver }) => hooks.tap?.(receiver));
      return connection;
    },
  });
  // The RTP timestamps of the video frames that came whole, of all tracks that are added from now on.
  // An encoded transform sees them before any is dropped because a later one can be decoded without it.
  hooks.noteFrames = () => {
    hooks.frames = [];
    const worker = new Worker('/frames.js');
    worker.onmessage = ({ data }) => hooks.frames.push(data);
    hooks.tap = (receiver) => {
      if (receiver.track.kind === 'video') {
        receiver.transform ??= new RTCRtpScriptTransform(worker, {});
      }
    };
  };
  // Chromium heeds a transform only from before it begins to receive.
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...args) {
    const transceiver = addTransceiver.apply(this, args);
    hooks.tap?.(transceiver.receiver);
    return transceiver;
  };
  for (const name of ['setLocalDescription', 'setRemoteDescription']) {
    const original = RTCPeerConnection.prototype[name];
    RTCPeerConnection.prototype[name] = function (...args) {
      hooks.descriptions++;
      return original.apply(this, args);
    };
  }
})();
