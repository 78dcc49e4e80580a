// Drives a mediasoup worker with the library that belongs to it: JSON lines in on stdin, out on stdout.
// in:  {id, method, ...arguments}    out: {id, result} | {id, error}
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const CODECS = [{ kind: 'video', mimeType: 'video/VP8', clockRate: 90000 }];

const producers = [];
const transports = new Map();
let worker, router, listenInfos;

async function open() {
  const transport = await router.createWebRtcTransport({ listenInfos });
  transports.set(transport.id, transport);
  return transport;
}

function described({ id, iceParameters, iceCandidates, dtlsParameters }) {
  return { transportId: id, iceParameters, iceCandidates, dtlsParameters };
}

const methods = {
  // The library takes the worker from MEDIASOUP_WORKER_BIN.
  async start({ library, host }) {
    const { createWorker, version } = createRequire(import.meta.url)(library);
    worker = await createWorker({ logLevel: 'error' }).catch((error) => {
      throw new Error(`the worker does not start: ${error.message}`);
    });
    worker.on('died', (error) => {
      console.error(`the worker died: ${error.message}`);
      process.exit(1);
    });
    router = await worker.createRouter({ mediaCodecs: CODECS });
    listenInfos = [{ protocol: 'udp', ip: host }];
    const { liburing } = await worker.dump();
    return { pid: worker.pid, version, usesRing: Boolean(liburing) };
  },

  async publish({ rtpParameters, dtlsParameters }) {
    const transport = await open();
    await transport.connect({ dtlsParameters });
    producers.push(await transport.produce({ kind: 'video', rtpParameters }));
    return described(transport);
  },

  // Everything that is published; `connect` has to follow.
  async subscribe() {
    const transport = await open();
    const consumers = [];
    for (const [index, { id }] of producers.entries()) {
      const { rtpCapabilities } = router;
      const wanted = { producerId: id, rtpCapabilities, mid: String(index) };
      consumers.push((await transport.consume(wanted)).rtpParameters);
    }
    return { ...described(transport), consumers };
  },

  async connect({ transportId, dtlsParameters }) {
    await transports.get(transportId).connect({ dtlsParameters });
  },
};

async function answer({ id, method, ...given }) {
  let message;
  try {
    message = { id, result: (await methods[method](given)) ?? {} };
  } catch (error) {
    message = { id, error: error.message };
  }
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

for await (const line of createInterface({ input: process.stdin })) answer(JSON.parse(line));
worker?.close();
