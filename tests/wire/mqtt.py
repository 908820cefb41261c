"""Every packet of MQTT 3.1, 3.1.1 and 5.0 as bytes and as what the bytes mean.

The tables stand in one module for each group of packets; the notation is that of `notation`.
"""

from typing import Any, NamedTuple

import pytest

from formats.errors import Rule
from tests.wire.notation import wire_bytes

ALL = (3, 4, 5)  # protocol levels: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0


class Wire(NamedTuple):
    """One line of a table.

    Attributes:
        means:     the packet, or the Rule that its decoder must name.
        canonical: whether our encoder writes the packet with these very bytes.
    """

    name: str
    versions: tuple[int, ...]
    notation: str
    means: Any
    canonical: bool = True

    @property
    def data(self) -> bytes:
        return wire_bytes(self.notation)


def cases(table, kind):
    """Parameters (version, wire) for the lines of a table whose meaning is a Rule, or a packet."""
    return [
        pytest.param(version, wire, id=f"{version}-{wire.name}")
        for wire in table
        for version in wire.versions
        if isinstance(wire.means, Rule) is (kind is Rule)
    ]
