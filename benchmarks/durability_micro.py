"""What the writer of the database costs, without a broker around it.

    python -m benchmarks.durability_micro [FOLDER]

A thread hands over lists of changes, as a listener does after each of its rounds, and has 1,000 of
them acknowledged before it goes on. Stored are QoS 1 messages of 64 bytes for a session that is
away, and, in the second line, messages that are delivered before the commit. With fsync.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from persistence.database import Database, open_file
from persistence.records import Call, Change
from persistence.writer import Writer

MESSAGES = 100_000
WINDOW = 1_000
ROUND = 50  # changes handed over at a time


class Message:
    __slots__ = ("payload", "topic")

    def __init__(self, topic: str, payload: bytes) -> None:
        self.topic = topic
        self.payload = payload


class Outgoing:
    __slots__ = ("identifiers", "message", "place", "qos", "retain", "share")

    def __init__(self, place: int, message: Message) -> None:
        self.place = place
        self.message = message
        self.qos = 1
        self.retain = False
        self.identifiers: tuple[int, ...] = ()
        self.share = ""


def rows_of(messages: dict[int, Message]) -> list[tuple[object, ...]]:
    return [
        (number, message.topic, message.payload, 1, False, None, "publisher", None)
        for number, message in messages.items()
    ]


def run(folder: str, deleted: bool) -> str:
    path = str(Path(folder) / f"micro-{deleted}.fs")
    writer = Writer(Database(open_file(path), path), rows_of)
    writer.start()
    durable = threading.Event()
    payload = os.urandom(64)
    began = time.perf_counter()
    began_cpu = time.process_time()
    place = 0
    while place < MESSAGES:
        durable.clear()
        for start in range(place, place + WINDOW, ROUND):
            changes: list[Change] = []
            for key in range(start, start + ROUND):
                message = Message("benchmark/topic", payload)
                changes.append((Outgoing(key, message), 1, 0, 0))
                if deleted:
                    changes.append(key)
            place += ROUND
            if place % WINDOW == 0:
                changes.append(Call(lambda call: call(), durable.set))
            writer.submit(changes)
        durable.wait()
    cpu = time.process_time() - began_cpu
    wall = time.perf_counter() - began
    writer.stop(10)
    return (
        f"{MESSAGES / wall:9,.0f} messages/s, {cpu / MESSAGES * 1e6:5.1f} us of CPU each, "
        f"{os.path.getsize(path) / MESSAGES:5.0f} bytes each"
    )


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        print("put                 ", run(folder, False))
        print("put, deleted at once", run(folder, True))


if __name__ == "__main__":
    main()
