// What MQTT.js does for docs/findings.md: `runFindings(mqtt, Buffer, options)`, in node and in a
// browser, gives {step: "ok" or what went wrong}. It is what python_scenario.py does, with
// `options`: version, direct and proxied (URLs), narrow (a URL), files for TLS, how many `cuts`
// the proxy knows, and those of them for clients that start anew: a PUBLISH to cut/N makes it break
// the connection soon after.

const tools = typeof module !== "undefined" ? require("./scenarios.js") : { inTime, equal };

const LARGE = 1024 * 1024;
const BATCH = 5;
const RECEIVE_MAXIMUM = 5;

class Driver {
  constructor(run, url, clientId, options = {}) {
    const { version } = run.options;
    const properties = {
      receiveMaximum: 100,
      maximumPacketSize: 2000000,
      topicAliasMaximum: 5,
      userProperties: { name: ["value", "again"] },
      requestProblemInformation: true,
    };
    if (options.clean === false) properties.sessionExpiryInterval = 3600;
    this.run = run;
    this.messages = [];
    this.waiting = [];
    this.connections = 0;
    this.published = [];
    this.client = run.mqtt.connect(url, {
      ...run.options.files,
      clientId,
      protocolVersion: version,
      reconnectPeriod: 10,
      username: "user",
      password: "password",
      will: { topic: `${clientId}/will`, payload: run.Buffer.from("gone"), qos: 1, retain: true },
      ...(version === 5 ? { properties } : {}),
      ...options,
    });
    this.client.on("connect", () => (this.connections += 1));
    this.client.on("error", () => {});
    this.client.on("message", (topic, payload, packet) => {
      const next = this.waiting.shift();
      if (next) next({ topic, payload, packet });
      else this.messages.push({ topic, payload, packet });
    });
    run.drivers.push(this);
  }

  static async open(...given) {
    const driver = new Driver(...given);
    await driver.connection(1);
    return driver;
  }

  // The event, or at once where the condition holds already.
  until(event, holds) {
    const waiting = new Promise((resolve) => {
      const look = () => {
        if (!holds()) return;
        this.client.removeListener(event, look);
        resolve();
      };
      this.client.on(event, look);
      look();
    });
    return tools.inTime(waiting, event);
  }

  connection(number) {
    return this.until("connect", () => this.connections >= number);
  }

  receive() {
    if (this.messages.length) return Promise.resolve(this.messages.shift());
    return tools.inTime(new Promise((resolve) => this.waiting.push(resolve)), "receive");
  }

  subscribe(filters, options) {
    return tools.inTime(this.client.subscribeAsync(filters, options), "subscribe");
  }

  // What is refused is acknowledged, too.
  publish(topic, payload, qos, options = {}) {
    const sent = this.client.publishAsync(topic, payload, { qos, ...options });
    this.published.push(sent.catch(() => {}));
  }

  settle() {
    const all = this.published;
    this.published = [];
    return tools.inTime(Promise.all(all), "settle");
  }
}

async function allPackets(run, url, name) {
  const { version } = run.options;
  const autoUseTopicAlias = version === 5;
  const one = await Driver.open(run, url, `all-${name}`);
  const other = await Driver.open(run, url, `all-${name}-2`, { clean: false, autoUseTopicAlias });
  const plain = version === 5 ? { rap: true, rh: 1, nl: false } : {};
  await one.subscribe(
    {
      [`${name}/+/a`]: { qos: 0, ...plain },
      [`${name}/#`]: { qos: 2, ...plain },
      "other/b": { qos: 1, ...plain },
    },
  );
  let more = {};
  if (version === 5) {
    const properties = { subscriptionIdentifier: 7 };
    await one.subscribe(`identified/${name}`, { qos: 1, properties });
    for (const member of [one, other]) {
      await member.subscribe(`$share/group/shared/${name}`, { qos: 1 });
    }
    more = {
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
        contentType: "text/plain",
        responseTopic: "answer/here",
        correlationData: run.Buffer.from([0, 255]),
        userProperties: { a: "1" },
      },
    };
  }
  for (const qos of [0, 1, 2]) {
    for (const payload of ["", "small"]) {
      const topic = `${name}/${qos}/a`;
      other.publish(topic, payload, qos, more);
      const got = await one.receive();
      // With a topic alias, MQTT.js gives a QoS 2 message without its topic.
      tools.equal([got.topic || topic, got.payload.toString()], [topic, payload], "message");
    }
    other.publish(`${name}/large`, run.Buffer.alloc(LARGE), qos);
    tools.equal((await one.receive()).payload.length, LARGE, "large");
    await other.settle();
  }
  for (const driver of [one, other]) {
    for (let at = 0; at < 30; at += 1) driver.publish(`${name}/many/${at % 4}`, `${at}`, 1 + (at % 2));
  }
  for (let at = 0; at < 60; at += 1) await one.receive();
  await Promise.all([one.settle(), other.settle()]);
  other.publish(`kept/${name}`, "kept", 1, { retain: true });
  await other.settle();
  await one.subscribe(`kept/${name}`, { qos: 1 });
  tools.equal((await one.receive()).payload.toString(), "kept", "retained");
  await tools.inTime(one.client.unsubscribeAsync([`kept/${name}`, "other/b"]), "unsubscribe");
  other.publish(`kept/${name}`, "", 1, { retain: true });
  if (version === 5) {
    other.publish(`identified/${name}`, "x", 2);
    tools.equal((await one.receive()).topic, `identified/${name}`, "identified");
    for (const qos of [1, 2]) {
      other.publish("test_qos_1_2_errors", "refused", qos);
      other.publish("test_qos_1_2_errors_pubcomp", "refused", qos);
    }
    await other.settle();
    for (let at = 0; at < 4; at += 1) other.publish(`shared/${name}`, "x", 1);
  }
  await other.settle();
}

// The connection breaks wherever it can in the flows of QoS 1 and 2; nothing gets lost.
async function brokenConnections(run, url, name) {
  const driver = await Driver.open(run, url, name, { clean: false });
  await driver.subscribe(`flows/${name}/#`, { qos: 2 });
  for (let cut = 0; cut < run.options.cuts; cut += 1) {
    const { connections } = driver;
    driver.publish(`cut/${cut}`, "", 0);
    const expected = new Set();
    for (let at = 0; at < BATCH; at += 1) {
      for (const qos of [1, 2]) {
        expected.add(`flows/${name}/${cut}/${at}/${qos}`);
        driver.publish(`flows/${name}/${cut}/${at}/${qos}`, "x", qos);
      }
    }
    while (expected.size) expected.delete((await driver.receive()).topic);
    await driver.settle();
    await driver.connection(connections + 1);
  }
}

// The session is gone when the client comes back in the middle of its flows.
async function startedAnew(run, url, name) {
  const driver = await Driver.open(run, url, name);
  for (const cut of run.options.cutsAnew) {
    const { connections } = driver;
    driver.publish(`cut/${cut}`, "", 0);
    for (let at = 0; at < 2 * BATCH; at += 1) driver.publish("anew", "x", 1 + (at % 2));
    await driver.connection(connections + 1);
    driver.publish("anew", "x", 2);
    await driver.settle();
  }
}

// More messages than the Receive Maximum of a 5.0 broker.
async function atOnce(run, url) {
  const driver = await Driver.open(run, url, "at-once", { reconnectPeriod: 0 });
  for (let at = 0; at < 3 * RECEIVE_MAXIMUM; at += 1) driver.publish("at/once", "x", 1 + (at % 2));
  const closed = new Promise((resolve) => driver.client.once("close", resolve));
  await Promise.race([closed, driver.settle()]);
}

async function serverDisconnects(run, url) {
  const driver = await Driver.open(run, url, "server-disconnects");
  driver.publish("cmd/disconnectWithRC", "151", 0);
  await driver.connection(2);
  driver.publish("back", "x", 1);
  await driver.settle();
}

async function runFindings(mqtt, Buffer, options) {
  const run = { mqtt, Buffer, options, drivers: [] };
  const { version, direct, proxied, narrow } = options;
  const results = {};
  const step = async (title, doing) => {
    results[title] = await doing.then(
      () => "ok",
      (error) => `${error.message || error}`,
    );
  };
  const idle = new Driver(run, proxied[0], "idle", { keepalive: 2 });
  const limited = new Driver(run, narrow, "server-keep-alive");
  const pinged = (driver) => {
    let pings = 0;
    driver.client.on("packetsend", (packet) => (pings += packet.cmd === "pingreq"));
    return driver.until("packetsend", () => pings > 0);
  };
  const pings = [pinged(idle), ...(version === 5 ? [pinged(limited)] : [])];
  for (const url of direct) await step(`all ${url}`, allPackets(run, url, url.split(":")[0]));
  for (const url of proxied) {
    const scheme = url.split(":")[0];
    await step(`kept ${url}`, brokenConnections(run, url, `kept-${scheme}`));
    await step(`anew ${url}`, startedAnew(run, url, `clean-${scheme}`));
  }
  await step("at once", atOnce(run, narrow));
  if (version === 5) await step("server disconnects", serverDisconnects(run, direct[0]));
  await step("pings", Promise.all(pings));
  const end = ({ client }) => client.endAsync(!client.connected);
  await step("end", Promise.all(run.drivers.map(end)));
  return results;
}

if (typeof module !== "undefined") module.exports = { runFindings };
