"""MQTT as bytes over a socket, for what no client library would send."""

import socket

SOON = 20  # seconds
DISCONNECT = b"\xe0\x00"


def connect_packet(client_id, version=4):
    """A CONNECT with a clean session."""
    name = client_id.encode()
    properties = b"\0" if version == 5 else b""
    body = b"\0\4MQTT" + bytes((version, 2, 0, 60)) + properties
    body += len(name).to_bytes(2, "big") + name
    return bytes((0x10, len(body))) + body


def connect(broker, client_id, version=4):
    """A socket after its CONNACK."""
    peer = socket.create_connection((broker.host, broker.port), SOON)
    peer.sendall(connect_packet(client_id, version))
    assert peer.recv(4096)[0] == 0x20
    return peer


def connect_twice(broker, client_id="twice", version=4):
    """What MQTT3-3.1.0-2 and MQTT5-3.1.0-2 forbid."""
    with connect(broker, client_id, version) as peer:
        peer.sendall(connect_packet(client_id, version))
        while peer.recv(4096):
            pass
