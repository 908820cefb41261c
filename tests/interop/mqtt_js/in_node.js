// node in_node.js '{"url": …, "caFile": …, "certFile": …, "keyFile": …}': prints results as JSON.

const fs = require("fs");
const mqtt = require("mqtt");
const { runFindings } = require("./findings.js");
const { runScenarios, tryToConnect } = require("./scenarios.js");

const { url, only, findings, ...files } = JSON.parse(process.argv[2]);
const options = { url };
for (const [name, path] of Object.entries(files)) {
  options[name.replace("File", "")] = fs.readFileSync(path);
}

async function main() {
  if (only === "connect") return { connect: await tryToConnect(mqtt, options) };
  if (findings) return runFindings(mqtt, Buffer, { ...JSON.parse(findings), files: options });
  return runScenarios(mqtt, Buffer, options);
}

main().then((results) => {
  process.stdout.write(JSON.stringify(results), () => process.exit(0));
});
