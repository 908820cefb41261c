"""What handlers ask of bytes before they decode them, or that decoding does not ask."""


def version_of(data: bytes, pos: int, end: int) -> int:
    """The protocol level of a CONNECT that may be broken further on; 0 when it is not one of
    ours."""
    if data[pos : pos + 6] == b"\0\4MQTT" and pos + 6 < end and data[pos + 6] in (4, 5):
        return data[pos + 6]
    if data[pos : pos + 8] == b"\0\6MQIsdp" and pos + 8 < end and data[pos + 8] == 3:
        return 3
    return 0


def is_utf8(payload: bytes) -> bool:
    """Whether a payload is what Payload Format Indicator 1 says (3.3.2.3.2)."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
