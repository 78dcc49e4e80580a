// A worker that passes encoded frames on and tells their RTP timestamps.
self.onrtctransform = ({ transformer: { readable, writable } }) => {
  const tell = new TransformStream({
    transform(frame, controller) {
      self.postMessage(frame.getMetadata().rtpTimestamp);
      controller.enqueue(frame);
    },
  });
  readable.pipeThrough(tell).pipeTo(writable);
};
