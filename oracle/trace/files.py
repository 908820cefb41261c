"""Which form a trace has by the name of its file."""

from pathlib import Path

from oracle.trace.jsonl import JsonLines
from oracle.trace.output import Output
from oracle.trace.pcapng import Pcapng

REFUSED = (".pcap", ".cap")  # somebody who asks for these expects a capture, not JSON


def open_trace(path: Path) -> Output:
    """Begin a file for `--trace`: `.pcapng` is a capture, all else JSON lines.

    Raises:
        ValueError: the ending promises a form that there is not.
        OSError:    it cannot be written.
    """
    ending = path.suffix.lower()
    if ending in REFUSED:
        raise ValueError(f"{path}: captures are written as .pcapng, everything else as JSON lines")
    return Pcapng(path) if ending == ".pcapng" else JsonLines(path)
