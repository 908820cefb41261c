"use strict";
// Draws the page from the JSON lines in #data: the first is all but the packets, which have a line
// for each client. Every string gets in as a text node or as an attribute's
// value, never as HTML. Long lists are drawn a part at a time, a violation's inside when opened.

const CLIENTS_AT_ONCE = 100;
const VIOLATIONS_AT_ONCE = 50;
const STATEMENTS_AT_ONCE = 40;
const NARROW = matchMedia("(max-width: 44rem)");
const VERDICTS = {
  violated: "violated",
  advice: "advice not followed",
  tolerated: "tolerated",
  silenced: "silenced",
  exercised: "exercised",
  idle: "not exercised",
  unobservable: "cannot be observed",
};
const OF_CLIENTS = { ...VERDICTS, passed: "passed", nothing: "nothing exercised" };
const RANK = ["violated", "advice", "tolerated", "silenced"]; // worst first

const find = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const counted = (value, thing) => `${number(value)} ${thing}${value === 1 ? "" : "s"}`;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const named = (fields) => (row) => Object.fromEntries(fields.map((name, at) => [name, row[at]]));

const lines = find("data").textContent.split("\n");
const data = JSON.parse(lines[0]);
const statements = data.statements.map(named(data.fields.statement));
const asPacket = named(data.fields.packet);
const asExample = named(data.fields.example);
const clients = data.clients;
const violations = []; // those of all clients, worst first

const rank = (verdict) => (RANK.includes(verdict) ? RANK.indexOf(verdict) : RANK.length);
const worst = (one, other) => (rank(other) < rank(one) ? other : one);

// Pairs of a statement and its first example, which may be undefined.
function* exercisedBy({ exercised, examples }) {
  for (let at = 0; at < exercised.length; at += 2) {
    yield [statements[exercised[at]], examples[exercised[at + 1]]];
  }
}

function connectTheParts() {
  for (const statement of statements) {
    statement.exercisedBy = 0;
    statement.brokenBy = new Set();
    statement.verdict = statement.observable ? "idle" : "unobservable";
  }
  clients.forEach((client, clientAt) => {
    for (const [statement] of exercisedBy(client)) statement.exercisedBy += 1;
    client.verdict = client.exercised.length ? "passed" : "nothing";
    client.violations.forEach((violation, at) => {
      const statement = statements[violation.statement];
      statement.brokenBy.add(client);
      statement.worst = statement.worst ? worst(statement.worst, violation.verdict) : violation.verdict;
      client.worst = client.worst ? worst(client.worst, violation.verdict) : violation.verdict;
      violations.push({ ...violation, client, statement, place: [clientAt, at] });
    });
    client.verdict = client.worst ?? client.verdict;
  });
  for (const statement of statements) {
    if (statement.worst) statement.verdict = statement.worst;
    else if (statement.exercisedBy) statement.verdict = "exercised";
  }
  violations.sort((one, other) => rank(one.verdict) - rank(other.verdict));
}

const badge = (verdict, words = OF_CLIENTS) =>
  make("span", { class: `verdict ${verdict}` }, words[verdict]);

function row(heads, ...cells) {
  return make("tr", {}, ...cells.map((cell, at) => {
    const label = heads[at];
    return make("td", label ? { "data-label": label } : {}, ...(Array.isArray(cell) ? cell : [cell]));
  }));
}

// Puts what `draw` makes of `items` into `parent`, so many at once, and a button for the rest after
// it. Returns the function that draws the next part; it returns the first element of that.
function drawInParts(parent, items, draw, atOnce) {
  const more = parent.closest("section").querySelector(".more");
  let drawn = 0;
  const drawPart = () => {
    const elements = items.slice(drawn, drawn + atOnce).map(draw);
    drawn += elements.length;
    parent.append(...elements);
    more.replaceChildren();
    const left = items.length - drawn;
    if (left) {
      const words = `Show ${number(Math.min(atOnce, left))} more of ${number(left)}`;
      more.append(make("button", { type: "button", onclick: () => focusIn(drawPart()) }, words));
    }
    return elements[0];
  };
  parent.replaceChildren();
  drawPart();
  return drawPart;
}

function focusIn(element) {
  const inside = element.querySelector("summary, button") ?? element;
  if (inside === element) element.tabIndex = -1;
  inside.focus();
}

function drawHead() {
  const { broker } = data;
  const times = `${broker.started} to ${broker.written}`;
  const ports = broker.listeners.map((one) => `${one.port}${one.tls ? " TLS" : ""} (${one.mode})`);
  find("verdict").append(data.verdict);
  find("remarks").append(...data.remarks.map((remark) => make("li", {}, remark)));
  find("broker").append(`${broker.name} ${broker.version}, ${times}, ports ${ports.join(", ") || "none"}`);
  for (const [name, { observable, exercised, violated }] of Object.entries(data.coverage)) {
    const words = `${exercised} of ${observable} observable statements exercised, ${violated} violated`;
    const meter = make("meter", { max: Math.max(observable, 1), value: exercised, "aria-label": words });
    find("coverage").append(make("div", {}, make("b", {}, data.titles[name]), meter, make("div", {}, words)));
  }
  const ignored = find("ignored");
  ignored.hidden = !data.ignored.length;
  ignored.querySelector("ul").append(
    ...data.ignored.map(([label, reason]) => make("li", {}, make("b", {}, label), ` ${reason}`)));
}

function clientRow(client, at) {
  const choose = () => {
    find("client").value = at;
    drawFiltered();
    find("filters").scrollIntoView();
    find("client").focus();
  };
  const title = `${client.address}, ${client.first} to ${client.last}, ` +
    `${counted(client.bytes[0], "byte")} in, ${number(client.bytes[1])} out`;
  return row(
    ["", "", "Protocols", "Transports", "Connections", "Packets in / out", "Exercised", "Violations"],
    badge(client.verdict),
    make("button", { type: "button", class: "plain", title, onclick: choose }, client.name),
    client.protocols.join(", ") || "none",
    client.transports.join(", ") || "none",
    number(client.connections),
    client.packets.map(number).join(" / "),
    number(client.exercised.length / 2),
    number(client.violations.length),
  );
}

function fillFilters() {
  const option = (text, value) => make("option", { value }, text);
  find("client").append(...clients.map((client, at) => option(client.name, at)));
  const documents = [...new Set(statements.map((statement) => statement.document))];
  find("document").append(...documents.map((name) => option(data.titles[name], name)));
  find("wanted").append(...Object.entries(VERDICTS).map(([name, words]) => option(words, name)));
}

let drawMoreStatements; // of those that the filters let through

const searched = (...parts) => parts.join("\n").toLowerCase();
const textOfStatement = (one) =>
  (one.searched ??= searched(one.label, one.section, one.level, one.text, one.note));
const textOfViolation = (one) =>
  searched(one.summary, one.statement.label, one.level, one.client.name, one.packet, one.seen);

// What the statements say of one client alone, or of all.
function verdictsFor(client) {
  if (!client) return (statement) => statement.verdict;
  const verdicts = new Map();
  for (const [statement] of exercisedBy(client)) verdicts.set(statement, "exercised");
  for (const violation of client.violations) {
    const statement = statements[violation.statement];
    verdicts.set(statement, worst(violation.verdict, verdicts.get(statement) ?? violation.verdict));
  }
  const otherwise = (statement) => (statement.observable ? "idle" : "unobservable");
  return (statement) => verdicts.get(statement) ?? otherwise(statement);
}

function drawFiltered() {
  const client = clients[find("client").value || -1];
  const wantedDocument = find("document").value;
  const wanted = find("wanted").value;
  const text = find("text").value.trim().toLowerCase();
  const verdictOf = verdictsFor(client);

  const ofDocument = (statement) => !wantedDocument || statement.document === wantedDocument;
  const someStatements = statements.filter((one) =>
    ofDocument(one) && (!wanted || verdictOf(one) === wanted) &&
    (!text || textOfStatement(one).includes(text)));
  const someViolations = violations.filter((one) =>
    (!client || one.client === client) && ofDocument(one.statement) &&
    (!wanted || one.verdict === wanted) &&
    (!text || (one.searched ??= textOfViolation(one)).includes(text)));

  const examples = new Map(client ? exercisedBy(client) : []);
  const drawStatement = (one) => statementRow(one, verdictOf(one), client, examples.get(one));
  drawMoreStatements = drawInParts(
    find("statements").tBodies[0], someStatements, drawStatement, STATEMENTS_AT_ONCE);
  drawInParts(find("violations"), someViolations, violationElement, VIOLATIONS_AT_ONCE);
  find("found").value =
    `${counted(someViolations.length, "violation")}, ${counted(someStatements.length, "statement")}`;
}

function statementRow(statement, verdict, client, example) {
  const seen = client ? seenOfOne(example) : seenOfAll(statement);
  if (statement.brokenBy.size && (!client || statement.brokenBy.has(client))) {
    const choose = () => {
      find("text").value = statement.label;
      drawFiltered();
      find("violations").closest("section").scrollIntoView();
      find("violations").querySelector("summary")?.focus();
    };
    seen.push(make("button", { type: "button", class: "plain", onclick: choose }, "Show violations"));
  }
  const note = statement.note ? [make("div", { class: "quiet" }, statement.note)] : [];
  return row(
    [],
    badge(verdict, VERDICTS),
    [make("b", {}, statement.label), make("div", { class: "quiet" }, statement.section)],
    statement.level,
    [statement.text, ...note],
    seen,
  );
}

function seenOfAll(statement) {
  const parts = [];
  if (statement.exercisedBy) parts.push(`${counted(statement.exercisedBy, "client")} exercised it`);
  if (statement.brokenBy.size) parts.push(`${counted(statement.brokenBy.size, "client")} broke it`);
  return parts.map((part) => make("div", {}, part));
}

function seenOfOne(example) {
  if (!example) return [];
  const { time, packet, bytes } = asExample(example);
  const words = `${packet || "first seen"}, ${time}`;
  return [bytes ? onDemand(words, () => hexDump(bytes, null)) : make("div", {}, words)];
}

// A <details> whose inside is made when it is first opened.
function onDemand(words, inside, attributes = {}) {
  const summary = make("summary", {}, ...[words].flat());
  const fill = () => {
    if (details.open && details.children.length === 1) details.append(inside());
  };
  const details = make("details", { ...attributes, ontoggle: fill }, summary);
  return details;
}

function violationElement(violation) {
  const { statement, client } = violation;
  const times = violation.count > 1 ? ` ×${number(violation.count)}` : "";
  const words = [
    badge(violation.verdict, VERDICTS), " ", make("b", {}, statement.label), ` ${violation.level}: `,
    violation.summary, times, " ", make("span", { class: "quiet" }, `by ${client.name}`),
  ];
  return onDemand(words, () => violationInside(violation), { class: "violation" });
}

function violationInside({ statement, client, silenced, packet, seen, place }) {
  const first = JSON.parse(lines[1 + place[0]])[place[1]];
  const parts = [
    ["Statement", [make("span", { class: "quiet" }, statement.section), make("div", {}, statement.text)]],
    ["Seen", [seen]],
  ];
  if (first.expected) parts.push(["Expected", [first.expected]]);
  if (silenced) parts.push(["Silenced", [silenced]]);
  const way = first.direction === "received" ? "from the client" : "to the client";
  parts.push(["First", [`${first.time}, connection ${number(first.connection)}, ${packet} ${way}`]]);
  parts.push(["Bytes", [sizeInWords(first), hexDump(first.bytes, first.offset)]]);
  const list = make("dl", {}, ...parts.flatMap(([term, inside]) =>
    [make("dt", {}, term), make("dd", {}, ...inside)]));
  return make("div", {}, list, ...(first.sequence.length ? [chart(client, first.sequence.map(asPacket))] : []));
}

function sizeInWords({ bytes, size, offset }) {
  const shown = bytes.length / 2;
  const words = shown < size ? `the first ${number(shown)} of ${counted(size, "byte")}` : counted(size, "byte");
  if (offset === null || offset === undefined) return words;
  const beyond = offset >= shown ? ", beyond what is kept" : "";
  return `${words}, noticed at byte ${number(offset)}${beyond}`;
}

// Rows of 16 bytes, or 8 on a phone: place, hexadecimal, ASCII. The byte at the offset is marked.
function hexDump(bytes, offset) {
  const pre = make("pre");
  const pairs = bytes.match(/../g) ?? [];
  const asCharacter = (pair) => {
    const code = parseInt(pair, 16);
    return code > 0x1f && code < 0x7f ? String.fromCharCode(code) : ".";
  };
  const width = NARROW.matches ? 8 : 16;
  for (let start = 0; start < pairs.length; start += width) {
    const part = pairs.slice(start, start + width);
    pre.append(start.toString(16).padStart(4, "0"), " ");
    part.forEach((pair, at) => {
      pre.append(" ", start + at === offset ? make("mark", { title: `byte ${offset}` }, pair) : pair);
    });
    pre.append("   ".repeat(width - part.length), "  ", part.map(asCharacter).join(""), "\n");
  }
  return pre;
}

// Two lifelines, the client's and the broker's, and an arrow for each packet.
function chart(client, packets) {
  const arrows = packets.map((packet) => {
    const { received, seconds } = packet;
    const words = make("span", { class: "words" },
      make("span", { class: "hidden" }, received ? "client to broker: " : "broker to client: "),
      make("b", {}, packet.packet || "bytes"), packet.count > 1 ? ` ×${number(packet.count)}` : "",
      packet.words ? ` ${packet.words}` : "", packet.broken ? make("b", {}, " ✗ broken") : "");
    const meta = `${seconds > 0 ? "+" : ""}${seconds.toFixed(3)} s, ${counted(packet.size, "byte")}`;
    const bytes = packet.bytes ? onDemand(meta, () => hexDump(packet.bytes, null)) : meta;
    return make("li", { class: (received ? "received" : "sent") + (packet.broken ? " broken" : "") },
      words, make("span", { class: "arrow", "aria-hidden": "true" }), make("div", { class: "bytes" }, bytes));
  });
  const parties = make("div", { class: "parties" }, make("span", {}, client.name), make("span", {}, "broker"));
  return make("figure", { class: "chart", "aria-label": "The packets around it" }, parties, make("ol", {}, ...arrows));
}

function start() {
  connectTheParts();
  drawHead();
  drawInParts(find("clients").tBodies[0], clients, clientRow, CLIENTS_AT_ONCE);
  fillFilters();
  drawFiltered();
  const filters = find("filters");
  filters.addEventListener("input", drawFiltered);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(drawFiltered));
  // Nothing comes after the statements, so they may grow as they are read.
  const moreStatements = find("statements").closest("section").querySelector(".more");
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting) || !drawMoreStatements()) return;
    observer.unobserve(moreStatements);
    observer.observe(moreStatements); // to be asked again if there is still room
  }, { rootMargin: "50%" });
  observer.observe(moreStatements);
  addEventListener("beforeprint", () => {
    while (drawMoreStatements());
  });
  // Milliseconds from navigation to the first frame that has it all; a test reads it.
  requestAnimationFrame(() => setTimeout(() => {
    document.documentElement.dataset.rendered = performance.now();
  }));
}

start();
