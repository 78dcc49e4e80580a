// Lets a test use the npm helper library, each major version: JSON lines in on stdin, out on stdout.
// in:  {library, op, account, ...arguments}    out: {result} | {error}
import { createInterface } from 'node:readline';

const libraries = {};
for (const major of [4, 5, 6]) {
  libraries[major] = (await import(`twilio-${major}`)).default;
}
const plain = (instances) => instances.map((instance) => instance.toJSON());

// Everything that the API tells of a room, by list and by fetch; participants by identity.
async function describe(video, name) {
  const context = video.v1.rooms(name);
  const people = {};
  for (const { sid, identity } of await context.participants.list({ status: 'connected' })) {
    const person = context.participants(sid);
    const published = await person.publishedTracks.list();
    const subscribed = await person.subscribedTracks.list();
    people[identity] = {
      participant: (await context.participants(identity).fetch()).toJSON(),
      published: plain(published),
      publishedByName: await Promise.all(
        published.map(async ({ name }) => (await person.publishedTracks(name).fetch()).toJSON())),
      subscribed: plain(subscribed),
      subscribedBySid: await Promise.all(
        subscribed.map(async ({ sid }) => (await person.subscribedTracks(sid).fetch()).toJSON())),
      rules: (await person.subscribeRules.fetch()).toJSON(),
    };
  }
  return {
    room: (await context.fetch()).toJSON(),
    recordingRules: (await context.recordingRules.fetch()).toJSON(),
    gone: plain(await context.participants.list({ status: 'disconnected' })),
    people,
  };
}

const operations = {
  describe: ({ video }, { room }) => describe(video, room),
  rules: async ({ video }, { room, identity, rules }) =>
    (await video.v1.rooms(room).participants(identity).subscribeRules.update({ rules })).toJSON(),
  complete: async ({ video }, { room }) =>
    (await video.v1.rooms(room).update({ status: 'completed' })).toJSON(),
  validate: (_, { account, signature, url, parameters }, library) =>
    library.validateRequest(account.token, signature, url, parameters),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { library, op, ...given } = JSON.parse(line);
  let answer;
  try {
    const { key, secret, sid, url } = given.account;
    const client = libraries[library](key, secret, { accountSid: sid });
    client.video.baseUrl = url;
    answer = { result: await operations[op](client, given, libraries[library]) };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
