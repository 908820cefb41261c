"""Fuzzing by hand, for as long as one likes: docs/fuzzing.md.

    python -m tests.fuzz                      what there is to fuzz
    python -m tests.fuzz codecs --seconds 60  mutations of the corpus by chance, of a seed
    python -m tests.fuzz codecs --atheris DIR -max_total_time=60
    python -m tests.fuzz codecs --replay HEX  one input, with its traceback

`DIR` keeps what atheris finds worth keeping, from one run to the next; what follows are options of
libFuzzer. `machine` is the state machine of `machine.py`, whose bytes are choices of Hypothesis.
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

SHOWN_S = 10  # seconds between two lines of how far it is
FINDINGS = 5  # different ones, after which a run ends
LONGEST = 4_096  # bytes


def load(shown=False):
    """The targets, and the corpus of each; late, so that atheris sees them imported.

    With `shown` the machine says what it does.
    """
    from hypothesis import HealthCheck, Verbosity, settings
    from hypothesis.stateful import get_state_machine_test

    from tests.fuzz.corpus import TARGETS, inputs
    from tests.fuzz.machine import Machine

    relaxed = settings(
        deadline=None,
        database=None,
        stateful_step_count=40,
        suppress_health_check=HealthCheck,
        verbosity=Verbosity.debug if shown else Verbosity.normal,
    )
    machine = get_state_machine_test(Machine, settings=relaxed)
    targets = {**TARGETS, "machine": machine.hypothesis.fuzz_one_input}
    return targets, {name: list(inputs(name)) if name in TARGETS else [b""] for name in targets}


def mutated(chance, corpus):
    """An input: one of the corpus after a few changes, joined with another one now and then."""
    data = bytearray(chance.choice(corpus))
    if chance.random() < 0.2:
        data += chance.choice(corpus)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(8)
        if kind == 0:
            data[place:place] = chance.randbytes(chance.randint(1, 8))
        elif kind == 1:
            del data[place : place + chance.randint(1, 8)]
        elif kind == 2:
            data[place : place + 2] = chance.choice((0, 1, 127, 128, 32_767, 65_535)).to_bytes(2)
        elif kind == 3:
            data[place:place] = data[place : place + chance.randint(1, 64)]
        elif kind == 4:
            other = chance.choice(corpus)
            start = chance.randrange(len(other) + 1)
            data[place : place + 8] = other[start : start + chance.randint(1, 32)]
        elif kind == 5:
            data += chance.randbytes(chance.randint(1, 200))
        elif place < len(data):
            data[place] = data[place] ^ 1 << chance.randrange(8) if kind == 6 else chance.choice(
                (0, 1, 127, 128, 255)
            )  # fmt: skip
    return bytes(data[:LONGEST])


def run_by_chance(name, target, corpus, seconds, runs, seed):
    """Mutations of the corpus; returns whether nothing was found."""
    chance = random.Random(seed)
    begun = shown = time.monotonic()
    outcomes, found = Counter(), {}
    count = 0
    while (now := time.monotonic()) < begun + seconds and (not runs or count < runs):
        data = mutated(chance, corpus)
        if name == "machine":  # choices, not a format that a change could be near to
            data = chance.randbytes(chance.choice((200, 1_000, 4_000)))
        count += 1
        try:
            outcome = target(data)
            if name == "machine":  # the bytes it has used, if there were enough of them
                outcome = "too short" if outcome is None else "played"
            outcomes[outcome] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} in {where.filename}:{where.lineno}"
            if key not in found:
                found[key] = data
                print(f"{name}: {key}\n{data.hex()}", flush=True)
                traceback.print_exception(error)
                if len(found) == FINDINGS:
                    break
        if now >= shown + SHOWN_S:
            shown = now
            print(f"{name}: {count} inputs, {len(found)} findings", flush=True)
    print(f"{name}: {count} inputs of seed {seed}, {dict(outcomes)}, {len(found)} findings")
    return not found


def run_atheris(name, folder, options):
    """Mutations that reach new code; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("python -m tests.fuzz --atheris needs it: pip install atheris")

    packages = ["formats", "broker", "oracle", "persistence"]
    with atheris.instrument_imports(include=packages):
        targets, corpora = load()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for place, data in enumerate(corpora[name]):
        (folder / f"corpus-{place}").write_bytes(data)
    target = targets[name]

    def call(data):
        target(data)

    arguments = [f"-artifact_prefix={folder}/", f"-max_len={LONGEST}", *options, str(folder)]
    atheris.Setup([sys.argv[0], *arguments], call)
    atheris.Fuzz()


def main():
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n")[0]
    )
    parser.add_argument("name", nargs="?", help="what to fuzz")
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--runs", type=int, default=0, help="how many inputs at most")
    parser.add_argument("--seed", type=int, default=0, help="of chance (0)")
    parser.add_argument("--replay", metavar="HEX", help="one input, or @FILE with it in bytes")
    parser.add_argument("--atheris", metavar="DIR", help="by atheris; what follows is libFuzzer's")
    arguments, options = parser.parse_known_args()
    if arguments.atheris and arguments.name:
        run_atheris(arguments.name, arguments.atheris, options)
    if options:
        parser.error(f"unknown: {' '.join(options)}")
    targets, corpora = load(bool(arguments.replay))
    if arguments.name not in targets:
        for name, target in targets.items():
            words = (target.__doc__ or "Whole connections: clients and strangers.").split("\n")[0]
            print(f"{name:15} {words if name != 'machine' else 'Clients, and strangers.'}")
        sys.exit(arguments.name is not None)
    target = targets[arguments.name]
    if arguments.replay:
        words = arguments.replay
        file = words.startswith("@")
        print(target(Path(words[1:]).read_bytes() if file else bytes.fromhex(words)))
    elif not run_by_chance(
        arguments.name, target, corpora[arguments.name], arguments.seconds, arguments.runs,
        arguments.seed,
    ):  # fmt: skip
        sys.exit(1)


main()
