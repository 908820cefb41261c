// What MQTT.js has to be able to do, in node and in a browser: `runScenarios(mqtt, Buffer, options)`
// gives {scenario: "ok" or what went wrong}. `options` are those of mqtt.connect, with `url`.
// Nothing waits for a time to pass: each step waits for an event, at most DEADLINE_MS.

const DEADLINE_MS = 15000;
const LARGE_BYTES = 500000;

function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing came`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function equal(got, expected, what) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: expected ${right}, got ${left}`);
}

// One connection, whose messages wait in order.
class Peer {
  static async open(suite, options) {
    const peer = new Peer();
    const { url, ...base } = suite.options;
    peer.client = suite.mqtt.connect(url, {
      ...base,
      reconnectPeriod: 0,
      clientId: suite.name(),
      ...options,
    });
    suite.peers.push(peer);
    peer.messages = [];
    peer.waiting = [];
    peer.client.on("message", (topic, payload, packet) => {
      const message = { topic, payload, packet };
      const next = peer.waiting.shift();
      if (next) next(message);
      else peer.messages.push(message);
    });
    peer.connack = await inTime(
      new Promise((resolve, reject) => {
        peer.client.once("connect", resolve);
        peer.client.once("error", reject);
        peer.client.once("close", () => reject(new Error("closed instead of a CONNACK")));
      }),
      "connect",
    );
    peer.client.on("error", () => {});
    return peer;
  }

  // The codes of the SUBACK; MQTT.js throws for a refusal.
  async subscribe(filter, options) {
    const granted = await inTime(this.client.subscribeAsync(filter, options), "subscribe");
    return granted.map((one) => one.qos);
  }

  publish(topic, payload, options) {
    return inTime(this.client.publishAsync(topic, payload, options), "publish");
  }

  receive() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    return inTime(new Promise((resolve) => this.waiting.push(resolve)), "receive");
  }

  // A message to oneself is the next to arrive.
  async nothingMore(topic) {
    await this.subscribe(topic, { qos: 1 });
    await this.publish(topic, "mark", { qos: 1 });
    const message = await this.receive();
    equal(message.topic, topic, "nothing else is on its way");
    await inTime(this.client.unsubscribeAsync(topic), "unsubscribe");
  }

  closed() {
    return inTime(new Promise((resolve) => this.client.once("close", resolve)), "close");
  }

  end(abruptly = false) {
    return inTime(this.client.endAsync(abruptly), "end");
  }
}

const every = {
  async "all QoS"(suite) {
    const topic = suite.name();
    const [publisher, subscriber] = [await suite.open(), await suite.open()];
    for (const granted of [0, 1, 2]) {
      equal(await subscriber.subscribe(`${topic}/${granted}`, { qos: granted }), [granted], "SUBACK");
      for (const sent of [0, 1, 2]) {
        await publisher.publish(`${topic}/${granted}`, `ü${sent}`, { qos: sent });
        const { payload, packet } = await subscriber.receive();
        equal(
          [packet.topic, payload.toString(), packet.qos, packet.retain],
          [`${topic}/${granted}`, `ü${sent}`, Math.min(sent, granted), false],
          "message",
        );
      }
    }
    await subscriber.nothingMore(suite.name());
  },

  async "500,000 bytes"(suite) {
    const topic = suite.name();
    const peer = await suite.open();
    await peer.subscribe(topic, { qos: 2 });
    const large = suite.Buffer.alloc(LARGE_BYTES);
    for (let at = 0; at < LARGE_BYTES; at += 1) large[at] = (at * 31) % 251;
    for (const qos of [0, 1, 2]) {
      await peer.publish(topic, large, { qos });
      const { payload } = await peer.receive();
      equal([payload.length, large.equals(payload)], [LARGE_BYTES, true], "payload");
    }
  },

  async "order"(suite) {
    const topic = suite.name();
    const [publisher, subscriber] = [await suite.open(), await suite.open()];
    await subscriber.subscribe(topic, { qos: 2 });
    // MQTT.js does not count to the broker's Receive Maximum, 20: no more than that at once.
    const numbers = Array.from({ length: 20 }, (_, number) => String(number));
    for (const qos of [0, 0, 1, 1, 2, 2]) {
      const sent = Promise.all(numbers.map((number) => publisher.publish(topic, number, { qos })));
      sent.catch(() => {}); // awaited below
      for (const number of numbers) {
        equal((await subscriber.receive()).payload.toString(), number, `order of QoS ${qos}`);
      }
      await sent;
    }
  },

  async "retained"(suite) {
    const topic = suite.name();
    const publisher = await suite.open();
    await publisher.publish(topic, "kept", { qos: 1, retain: true });
    const late = await suite.open();
    await late.subscribe(topic, { qos: 1 });
    const { payload, packet } = await late.receive();
    equal([payload.toString(), packet.retain], ["kept", true], "retained message");
    await publisher.publish(topic, "", { qos: 1, retain: true });
    equal((await late.receive()).payload.length, 0, "the message that clears it");
    const tooLate = await suite.open();
    await tooLate.subscribe(topic, { qos: 1 });
    await tooLate.nothingMore(suite.name());
  },

  async "will"(suite) {
    const topic = suite.name();
    const watcher = await suite.open();
    await watcher.subscribe(`${topic}/+`, { qos: 1 });
    for (const abruptly of [false, true]) {
      const will = { topic: `${topic}/${abruptly}`, payload: "gone", qos: 1, retain: false };
      const peer = await suite.open({ will });
      await peer.end(abruptly);
    }
    const { packet } = await watcher.receive();
    equal([packet.topic, packet.qos], [`${topic}/true`, 1], "will");
    await watcher.nothingMore(suite.name());
  },

  async "persistent session"(suite) {
    const topic = suite.name();
    const options = { clientId: suite.name(), clean: false };
    if (suite.version === 5) options.properties = { sessionExpiryInterval: 3600 };
    const first = await suite.open(options);
    await first.subscribe(topic, { qos: 2 });
    await first.end();
    const publisher = await suite.open();
    for (const qos of [1, 2]) await publisher.publish(topic, `${qos}`, { qos });
    const again = await suite.open(options);
    if (suite.version > 3) equal(again.connack.sessionPresent, true, "session present");
    for (const qos of [1, 2]) {
      const { payload, packet } = await again.receive();
      equal([payload.toString(), packet.qos], [`${qos}`, qos], "queued message");
    }
    await again.nothingMore(suite.name());
    await again.end();
    const fresh = await suite.open({ clientId: options.clientId, clean: true });
    equal(fresh.connack.sessionPresent, false, "session present");
  },

  async "takeover"(suite) {
    const clientId = suite.name();
    const first = await suite.open({ clientId });
    const told = new Promise((resolve) => first.client.once("disconnect", resolve));
    const closed = first.closed();
    const second = await suite.open({ clientId });
    await closed;
    if (suite.version === 5) equal((await inTime(told, "DISCONNECT")).reasonCode, 0x8e, "reason");
    await second.nothingMore(suite.name());
  },

  async "unsubscribe"(suite) {
    const topic = suite.name();
    const peer = await suite.open();
    await peer.subscribe([`${topic}/a`, `${topic}/b`], { qos: 1 });
    await inTime(peer.client.unsubscribeAsync(`${topic}/a`), "unsubscribe");
    await peer.publish(`${topic}/a`, "no", { qos: 1 });
    await peer.publish(`${topic}/b`, "yes", { qos: 1 });
    equal((await peer.receive()).payload.toString(), "yes", "message");
    await peer.nothingMore(suite.name());
  },
};

const only5 = {
  async "CONNACK properties"(suite) {
    const peer = await suite.open({ clientId: "", keepalive: 300 });
    const said = peer.connack.properties;
    equal(
      [
        said.assignedClientIdentifier.length > 0,
        said.serverKeepAlive,
        said.receiveMaximum,
        said.maximumPacketSize,
        said.topicAliasMaximum,
      ],
      [true, 60, 20, 2000000, 10],
      "CONNACK",
    );
    await peer.nothingMore(suite.name());
  },

  async "message properties"(suite) {
    const topic = suite.name();
    const peer = await suite.open();
    await peer.subscribe(topic, { qos: 2, properties: { subscriptionIdentifier: 4711 } });
    for (const qos of [0, 1, 2]) {
      await peer.publish(topic, "{}", {
        qos,
        properties: {
          payloadFormatIndicator: true,
          contentType: "application/json",
          responseTopic: `${topic}/answer`,
          correlationData: suite.Buffer.from([0, 255]),
          userProperties: { b: ["1", "2"], a: "3" },
        },
      });
      const said = (await peer.receive()).packet.properties;
      equal(
        [
          said.payloadFormatIndicator,
          said.contentType,
          said.responseTopic,
          Array.from(said.correlationData),
          Object.entries(said.userProperties),
          said.subscriptionIdentifier,
        ],
        [
          true,
          "application/json",
          `${topic}/answer`,
          [0, 255],
          [["b", ["1", "2"]], ["a", "3"]],
          4711,
        ],
        "properties",
      );
    }
  },

  async "topic aliases both ways"(suite) {
    const topic = suite.name();
    const properties = { topicAliasMaximum: 5 };
    const peer = await suite.open({ autoAssignTopicAlias: true, properties });
    await peer.subscribe(`${topic}/#`, { qos: 1 });
    // More topics than aliases either way, so that they are given to others, each used twice.
    for (let at = 0; at < 30; at += 1) {
      const one = `${topic}/${Math.floor(at / 2) % 12}`;
      await peer.publish(one, one, { qos: 1 });
      const message = await peer.receive();
      equal([message.topic, message.payload.toString()], [one, one], "topic");
    }
  },

  async "shared subscription"(suite) {
    const topic = suite.name();
    const members = [await suite.open(), await suite.open()];
    for (const member of members) await member.subscribe(`$share/g/${topic}`, { qos: 1 });
    const publisher = await suite.open();
    for (let at = 0; at < 10; at += 1) await publisher.publish(topic, `${at}`, { qos: 1 });
    const got = [];
    for (const member of members) {
      const mark = suite.name();
      await member.subscribe(mark, { qos: 1 });
      await member.publish(mark, "", { qos: 1 });
      const before = got.length;
      for (let one = await member.receive(); one.topic !== mark; one = await member.receive()) {
        got.push(Number(one.payload.toString()));
      }
      if (got.length === before) throw new Error("a member got nothing");
    }
    equal(got.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "messages");
  },

  async "a refused subscription"(suite) {
    const peer = await suite.open();
    const failed = await peer.client.subscribeAsync("test/nosubscribe", { qos: 1 }).then(
      () => "granted",
      () => "refused",
    );
    equal(failed, "refused", "SUBSCRIBE test/nosubscribe");
  },

  async "DISCONNECT on request"(suite) {
    const peer = await suite.open();
    const told = new Promise((resolve) => peer.client.once("disconnect", resolve));
    await peer.publish("cmd/disconnectWithRC", "150", { qos: 0 });
    equal((await inTime(told, "DISCONNECT")).reasonCode, 150, "reason");
  },
};

async function runScenarios(mqtt, Buffer, options) {
  const results = {};
  for (const version of [3, 4, 5]) {
    const scenarios = version === 5 ? { ...every, ...only5 } : every;
    for (const [title, scenario] of Object.entries(scenarios)) {
      const suite = {
        mqtt,
        Buffer,
        version,
        peers: [],
        name: () => `j${Math.random().toString(36).slice(2, 14)}`,
        options: {
          ...options,
          protocolVersion: version,
          protocolId: version === 3 ? "MQIsdp" : "MQTT",
        },
        open: (more) => Peer.open(suite, more),
      };
      const key = `${version}: ${title}`;
      try {
        await scenario(suite);
        results[key] = "ok";
      } catch (error) {
        results[key] = `${error.message || error}`;
      }
      await Promise.all(suite.peers.map((peer) => peer.end(true).catch(() => {})));
    }
  }
  return results;
}

// Whether a connection can be made at all.
async function tryToConnect(mqtt, options) {
  const suite = { mqtt, options, peers: [], name: () => "" };
  try {
    await Peer.open(suite, {});
    return "connected";
  } catch (error) {
    return `${error.message || error.code || error}`;
  } finally {
    await Promise.all(suite.peers.map((peer) => peer.end(true).catch(() => {})));
  }
}

if (typeof module !== "undefined") {
  module.exports = { equal, inTime, runScenarios, tryToConnect };
}
