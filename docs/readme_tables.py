"""The tables of README.md that are made from the code: the test PKI."""

from pathlib import Path

from broker.pki import pki_table

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- test-pki -->\n", "<!-- /test-pki -->\n"


def readme() -> str:
    """README.md with its tables as they should be."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{pki_table().strip()}\n\n{END}{after}"
