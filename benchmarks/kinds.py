"""The brokers that can be measured, as a table: where each is found, and its configuration.

All get the same limits: 2,000 messages in flight (above every window here), queues without bound,
no log, no $SYS traffic; a second listener, TLS, WebSocket and persistence where a workload is about
it. Everything else is as the broker has it by itself.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.transports import OTHER, TCP, TLS, WEBSOCKET

ROOT = Path(__file__).resolve().parent.parent
START = ROOT / "startbroker.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "touchstone-benchmarks"
WITHOUT = "persistence false\n"
PERSISTENCE = "persistence as Mosquitto has it"


@dataclass(slots=True)
class BrokerKind:
    """One row. In texts PORT and names that end so, CERTFILE, KEYFILE and FOLDER stand for what is
    known when it is started."""

    name: str
    version: Callable[[], str | None]  # None: not on this machine
    command: Callable[[str], list[str]]  # from the configuration file's path
    configuration: str
    shown_command: str
    listeners: dict[str, str]  # what is added to the configuration for a transport
    lacks: tuple[str, ...] = ()  # of `Workload.needs`, transports without listeners apart
    suffix: str = ".conf"
    environment: dict[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()  # a command that ends what it leaves running
    install: str = "python -m benchmarks.install"


def _output(command: list[str]) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return run.stdout + run.stderr


MOSQUITTO_DIALECT = """\
listener PORT 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 0
persistence false
sys_interval 0
log_type error
"""
MOSQUITTO_LISTENERS = {
    TCP: "",
    OTHER: "listener OTHER_PORT 127.0.0.1\n",
    TLS: "listener TLS_PORT 127.0.0.1\ncertfile CERTFILE\nkeyfile KEYFILE\ntls_version tlsv1.3\n",
    WEBSOCKET: "listener WEBSOCKET_PORT 127.0.0.1\nprotocol websockets\n",
}


def _touchstone_version() -> str | None:
    if not (ROOT / "broker" / "command_line.py").exists():
        return None
    found = re.search(r"\d+\.\d+\.\d+", _output([sys.executable, str(START), "--version"]))
    python = ".".join(str(part) for part in sys.version_info[:3])
    return f"{found[0] if found else 'this checkout'} on Python {python}"


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _mosquitto_version() -> str | None:
    path = _mosquitto()
    found = path and re.search(r"version (\S+)", _output([path, "-h"]))
    return found[1] if found else None


AMQTT_PYTHON = CACHE / "amqtt" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
AMQTT_CONFIGURATION = """\
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:PORT
"""
AMQTT_LISTENERS = {
    TCP: "",
    OTHER: "  other:\n    bind: 127.0.0.1:OTHER_PORT\n",
    TLS: "  tls:\n"
    "    bind: 127.0.0.1:TLS_PORT\n"
    "    ssl: true\n"
    "    certfile: CERTFILE\n"
    "    keyfile: KEYFILE\n",
    WEBSOCKET: "  websocket:\n    type: ws\n    bind: 127.0.0.1:WEBSOCKET_PORT\n",
}


def _amqtt_version() -> str | None:
    if not AMQTT_PYTHON.exists():
        return None
    question = "import importlib.metadata as m; print(m.version('amqtt'))"
    answer = _output([str(AMQTT_PYTHON), "-c", question]).strip()
    return answer if re.fullmatch(r"[\w.]+", answer) else None


AEDES_MODULES = CACHE / "npm" / "node_modules"
AEDES_CONFIGURATION = """\
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import http from 'node:http'
import net from 'node:net'
import tls from 'node:tls'
const modules = createRequire(process.env.MODULES + '/')
const { Aedes } = await import(modules.resolve('aedes'))
const { WebSocketServer, createWebSocketStream } = modules('ws')
const broker = await Aedes.createBroker({ concurrency: 2000, queueLimit: 1000000 })
net.createServer(broker.handle).listen(PORT, '127.0.0.1')
"""
AEDES_LISTENERS = {
    TCP: "",
    OTHER: "net.createServer(broker.handle).listen(OTHER_PORT, '127.0.0.1')\n",
    TLS: "const keys = { cert: readFileSync('CERTFILE'), key: readFileSync('KEYFILE') }\n"
    "tls.createServer(keys, broker.handle).listen(TLS_PORT, '127.0.0.1')\n",
    WEBSOCKET: "const server = http.createServer()\n"
    "new WebSocketServer({ server, handleProtocols: () => 'mqtt' }).on('connection',\n"
    "  (socket, request) => broker.handle(createWebSocketStream(socket), request))\n"
    "server.listen(WEBSOCKET_PORT, '127.0.0.1')\n",
}


def _aedes_version() -> str | None:
    package = AEDES_MODULES / "aedes" / "package.json"
    node = shutil.which("node")
    if not package.exists() or node is None:
        return None
    version = json.loads(package.read_text())["version"]
    return f"{version} on Node {_output([node, '--version']).strip().removeprefix('v')}"


RABBITMQ_FOLDER = Path("/usr/lib/rabbitmq")
RABBITMQ_CONFIGURATION = """\
listeners.tcp = none
mqtt.listeners.tcp.1 = 127.0.0.1:PORT
mqtt.allow_anonymous = true
mqtt.prefetch = 2000
log.file.level = error
log.console = false
"""
RABBITMQ_LISTENERS = {
    TCP: "",
    OTHER: "mqtt.listeners.tcp.2 = 127.0.0.1:OTHER_PORT\n",
    TLS: "mqtt.listeners.ssl.1 = 127.0.0.1:TLS_PORT\n"
    "ssl_options.certfile = CERTFILE\n"
    "ssl_options.keyfile = KEYFILE\n"
    "ssl_options.versions.1 = tlsv1.3\n",
    WEBSOCKET: "web_mqtt.tcp.ip = 127.0.0.1\n"
    "web_mqtt.tcp.port = WEBSOCKET_PORT\n"
    "web_mqtt.ws_path = /mqtt\n",
}


def _rabbitmq_version() -> str | None:
    found = next(RABBITMQ_FOLDER.glob("lib/rabbitmq_server-*"), None)
    return found.name.rpartition("-")[2] if found else None


BROKERS: tuple[BrokerKind, ...] = (
    BrokerKind(
        "touchstone",
        _touchstone_version,
        lambda path: [sys.executable, str(START), "-c", path],
        MOSQUITTO_DIALECT,
        "python startbroker.py -c FILE",
        MOSQUITTO_LISTENERS,
    ),
    BrokerKind(
        "mosquitto",
        _mosquitto_version,
        lambda path: [_mosquitto() or "mosquitto", "-c", path],
        MOSQUITTO_DIALECT,
        "mosquitto -c FILE",
        MOSQUITTO_LISTENERS,
        install="apt-get install mosquitto",
    ),
    BrokerKind(
        "aedes",
        _aedes_version,
        lambda path: ["node", path],
        AEDES_CONFIGURATION,
        "MODULES=FOLDER node FILE",
        AEDES_LISTENERS,
        ("MQTT 5.0", PERSISTENCE),
        suffix=".mjs",
        environment={"MODULES": str(AEDES_MODULES)},
    ),
    BrokerKind(
        "amqtt",
        _amqtt_version,
        lambda path: [str(AMQTT_PYTHON), "-m", "amqtt.scripts.broker_script", "-c", path],
        AMQTT_CONFIGURATION,
        "amqtt -c FILE",
        AMQTT_LISTENERS,
        ("MQTT 5.0", PERSISTENCE),
        suffix=".yaml",
    ),
    BrokerKind(
        "rabbitmq",
        _rabbitmq_version,
        lambda path: [str(RABBITMQ_FOLDER / "bin" / "rabbitmq-server")],
        RABBITMQ_CONFIGURATION,
        "RABBITMQ_CONFIG_FILE=FILE rabbitmq-server",
        RABBITMQ_LISTENERS,
        ("MQTT 5.0", "QoS 2", "retained messages for wildcards", PERSISTENCE),
        environment={
            "RABBITMQ_CONFIG_FILE": "FOLDER/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "FOLDER/plugins",
            "RABBITMQ_MNESIA_BASE": "FOLDER/mnesia",
            "RABBITMQ_LOG_BASE": "FOLDER/log",
            "RABBITMQ_PID_FILE": "FOLDER/pid",
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_DIST_PORT": "DIST_PORT",
            "ERL_EPMD_PORT": "EPMD_PORT",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "HOME": "FOLDER",  # for its cookie
            "RUNNING_UNDER_SYSTEMD": "1",  # no shell between us and the broker
        },
        after=("epmd", "-port", "EPMD_PORT", "-kill"),
        install="apt-get install rabbitmq-server",
    ),
)
REFERENCE = "mosquitto"  # what ratios are taken to


def missing(needs: set[str], kind: BrokerKind) -> set[str]:
    """What a workload needs and the broker lacks."""
    transports = {TCP, OTHER, TLS, WEBSOCKET} - set(kind.listeners)
    return needs & (transports | set(kind.lacks))
