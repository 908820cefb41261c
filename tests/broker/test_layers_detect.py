"""What a peer speaks, by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.layers.detect import METHODS, OTHER_PACKETS, Kind, detect

CONNECT = bytes.fromhex("10 0c 0004 4d515454 04 02 003c 0000")
CLIENT_HELLO = bytes.fromhex("16 03 01 02 00 01 00 01 fc 03 03")
GET = b"GET /mqtt HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("first_bytes", "tls", "kind", "words"),
    [
        (CONNECT, False, Kind.MQTT, ""),
        (CONNECT[:1], False, Kind.MQTT, ""),
        (b"\x13\x00", False, Kind.MQTT, ""),
        (b"\x16\x00", False, Kind.MQTT, ""),
        (b"\xc0\x00", False, Kind.MQTT, "PINGREQ as the first packet"),
        (b"\x50\x02\x00\x01", False, Kind.MQTT, "PUBREC as the first packet"),
        (GET, False, Kind.HTTP, "HTTP request on an MQTT port"),
        (b"POST / HTTP/1.1\r\n", False, Kind.HTTP, "HTTP POST request on an MQTT port"),
        (CLIENT_HELLO, False, Kind.TLS_ON_PLAIN, "TLS ClientHello on a plain port"),
        (CLIENT_HELLO, True, Kind.TLS, ""),
        (CLIENT_HELLO[:1], False, Kind.NEED_MORE, ""),
        (CLIENT_HELLO[:1], True, Kind.NEED_MORE, ""),
        (CONNECT, True, Kind.PLAIN_ON_TLS, "plaintext MQTT on a TLS port"),
        (GET, True, Kind.PLAIN_ON_TLS, "plaintext HTTP request on a TLS port"),
        (b"", False, Kind.NEED_MORE, ""),
        (b"", True, Kind.NEED_MORE, ""),
        (b"SSH-2.0-x\r\n", False, Kind.UNKNOWN, "SSH"),
        (b"PROXY TCP4 1.2.3.4", False, Kind.UNKNOWN, "PROXY protocol header"),
        (b"hello", False, Kind.UNKNOWN, "first bytes 68 65 6c 6c 6f are no MQTT CONNECT"),
        (b"\x00" * 99, True, Kind.UNKNOWN, f"first bytes{' 00' * 16} are no MQTT CONNECT"),
    ],
)
def test_kind_and_words(first_bytes, tls, kind, words):
    assert detect(first_bytes, tls) == (kind, words)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_known_when_it_is_whole(method):
    for size in range(len(method)):
        assert detect(method[:size], False).kind is Kind.NEED_MORE
    assert detect(method, False).kind is Kind.HTTP


@pytest.mark.parametrize("byte1", OTHER_PACKETS)
def test_every_packet_is_known_by_two_bytes(byte1):
    assert detect(bytes((byte1, 2)), False).kind is Kind.MQTT


@given(st.binary(min_size=16), st.booleans())
def test_sixteen_bytes_are_always_enough(first_bytes, tls):
    assert detect(first_bytes, tls).kind is not Kind.NEED_MORE
