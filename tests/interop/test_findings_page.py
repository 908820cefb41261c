"""docs/findings.md has a heading for each finding, and for nothing else."""

import re
from pathlib import Path

from tests.interop.known_findings import KNOWN

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"


def sections():
    """Heading -> text, of the findings."""
    parts = re.split(r"(?m)^### (.+)\n", PAGE.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_headings():
    assert set(sections()) == {one for known in KNOWN.values() for one in known.values()}


def test_each_names_the_clients_and_the_statements():
    for (client, version), known in KNOWN.items():
        document = {4: "MQTT3", 5: "MQTT5"}[version]
        for statement, heading in known.items():
            text = sections()[heading]
            assert client in text, f"{heading}: {client}"
            assert statement.replace("MQTT", document) in text, f"{heading}: {statement}"


def test_each_client_is_in_the_table():
    page = PAGE.read_text(encoding="utf-8")
    for client in {client for client, _ in KNOWN}:
        assert f"\n| {client} " in page, client
