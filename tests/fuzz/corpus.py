"""The targets by name, and inputs of each that are known to lead somewhere.

They are kept as text, an input a line, in hex, so that a diff can be read: `corpus/NAME.txt`. What
follows a `#` says why.
"""

from pathlib import Path

from tests.fuzz import conversation, targets

FOLDER = Path(__file__).parent / "corpus"
TARGETS = {
    name.removeprefix("fuzz_"): target
    for module in (targets, conversation)
    for name, target in vars(module).items()
    if name.startswith("fuzz_")
}


def inputs(name):
    """The corpus of a target."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        data, _, why = line.partition("#")
        if data.strip() or why.startswith(" nothing"):
            yield bytes.fromhex(data)
