"""What a broker for one test is configured with: lines of a marker, a file, or both.

Every listener gets a free port of the loopback interface, whatever a file says, so that tests can
run in parallel. A database of `persistence true` is in a folder of its own, for the same reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from broker.config import ConfigError, Configuration
from broker.config_lines import variable
from broker.options import NAMES

USER_NAME, PASSWORD = "user", "password"

ALWAYS = f"""\
allow_anonymous true
sys_interval 0
auth_method SCRAM-SHA-1
auth_method SCRAM-SHA-256
auth_user {USER_NAME} {PASSWORD}
"""
PLAIN = "listener 0 127.0.0.1\n"
TLS = """\
listener 0 127.0.0.1
certfile {pki}/server.pem
keyfile {pki}/server.key
listener 0 127.0.0.1
certfile {pki}/server.pem
keyfile {pki}/server.key
cafile {pki}/ca-chain.pem
crlfile {pki}/crl.pem
require_certificate true
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test wants of its broker.

    Attributes:
        lines: of the configuration; a later one counts.
        file:  the configuration that they add to, or None.
        tls:   ports with TLS, too, if `file` is None.
    """

    lines: tuple[str, ...] = ()
    file: str | None = None
    tls: bool = False


def configure(
    wanted: Wanted, pki: Callable[[], Path], new_folder: Callable[[], Path]
) -> Configuration:
    """The configuration of a broker.

    Args:
        pki:        gives the folder of the test certificates.
        new_folder: makes an empty one.

    Raises:
        ConfigError: what is wrong with it.
    """
    lines = list(_split(wanted.lines))
    configuration = _read(wanted, lines, pki)
    if configuration["persistence"] and configuration["persistence_uri"] is None:
        lines.append(("persistence_location", str(new_folder())))
        configuration = _read(wanted, lines, pki)
    for listener in configuration.listeners:
        listener.port = 0
        if listener.address not in ("localhost", "::1"):
            listener.address = "127.0.0.1" if listener["socket_domain"] != "ipv6" else "::1"
    return configuration


def _split(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Key and value of each line."""
    for line in "\n".join(texts).splitlines():
        key, _, words = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if key not in NAMES:
            raise ConfigError(f"{key}: no option has this name")
        yield key, words.strip()


def _read(wanted: Wanted, lines: list[tuple[str, str]], pki: Callable[[], Path]) -> Configuration:
    if wanted.file is not None:
        return _read_file(wanted, lines)
    text = ALWAYS + "".join(f"{key} {words}\n" for key, words in lines)
    if not any(key in ("listener", "port") for key, _ in lines):
        text += PLAIN
    if wanted.tls:
        folder = pki()
        text = f"test_pki_dir {folder.as_posix()}\n{text}" + TLS.format(pki=folder.as_posix())
    return Configuration.parse(text, "mqtt_broker")


def _read_file(wanted: Wanted, lines: list[tuple[str, str]]) -> Configuration:
    """The file, and the lines as the environment and the command line would add them."""
    assert wanted.file is not None
    single: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for key, words in lines:
        option = NAMES[key][0]
        if option.name == "listener":
            raise ConfigError(f"listener {words}: the listeners are those of {wanted.file}")
        if option.repeatable:
            repeated.setdefault(variable(option.name), []).append(words)
        else:
            single[key] = words
    environment = {name: ";".join(values) for name, values in repeated.items()}
    configuration = Configuration.load(wanted.file, environment, switches=single)
    if wanted.tls and not any(listener.has_tls for listener in configuration.listeners):
        raise ConfigError(f"{wanted.file} has no listener with TLS")
    return configuration
