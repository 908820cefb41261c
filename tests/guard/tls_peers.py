"""The client's end of TLS listeners: OpenSSL's own client, and MQTT over it."""

import shutil
import subprocess
from contextlib import contextmanager

import pytest

from broker.psk_file import psk_needs

SOON = 20  # seconds; far more than any of this takes
CONNECT = bytes.fromhex("100d00044d515454040200000001") + b"a"
CONNACK = bytes.fromhex("20020000")

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")
needs_psk = pytest.mark.skipif(bool(psk_needs()), reason=f"TLS-PSK needs {psk_needs()}")


@contextmanager
def s_client(port, *arguments):
    """A running `openssl s_client`, whose standard input and output are the application's."""
    process = subprocess.Popen(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{port}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def shake(port, *arguments):
    """CONNECT over TLS: the bytes of the answer, and what `-brief` says of the handshake."""
    with s_client(port, "-quiet", "-brief", *arguments) as process:
        process.stdin.write(CONNECT)
        answer = process.stdout.read(len(CONNACK))
        process.kill()
        said = process.stderr.read().decode("utf-8", "replace")
    return answer, said


def connections(site):
    """The broker's ends of all connections."""
    site.settle()
    return [
        connection
        for listener in site.broker._listeners
        for connection in list(listener._open.values())
    ]
