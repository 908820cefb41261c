"""How the wire tables write bytes down.

Hex digits stand for themselves; spaces mean nothing. `"a/b"` is a UTF-8 Encoded String with its
length, `[...]` is a Property Length and its properties, `..` after the first byte is the Remaining
Length. All of it is reckoned here, apart from the codec that the tables test.
"""

import re

TOKEN = re.compile(r'"[^"]*"|\[|\]|\.\.|[0-9a-f]+|\S')


def variable(value: int) -> bytes:
    """A Variable Byte Integer, as the pseudo code of 5.0 section 1.5.5 has it."""
    out = []
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (128 if value else 0))
        if not value:
            return bytes(out)


def text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def wire_bytes(notation: str) -> bytes:
    """The bytes that a line of a wire table stands for."""
    parts = [b""]
    first = None
    for token in TOKEN.findall(notation):
        if token == "..":
            first = parts.pop()
            parts.append(b"")
        elif token == "[":
            parts.append(b"")
        elif token == "]":
            inner = parts.pop()
            parts[-1] += variable(len(inner)) + inner
        elif token[0] == '"':
            parts[-1] += text(token[1:-1])
        else:
            parts[-1] += bytes.fromhex(token)
    (body,) = parts
    return body if first is None else first + variable(len(body)) + body
