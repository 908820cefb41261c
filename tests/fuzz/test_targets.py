"""Every target with bytes of Hypothesis and with its corpus, which has all that was ever found."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.corpus import TARGETS, inputs
from tests.fuzz.damage import changes, damaged, nearly_valid
from tests.fuzz.effort import examples

EXAMPLES = {"conversation": 30, "acl": 60, "passwords": 60, "splitting": 100}  # others: 150


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name):
    seen = {TARGETS[name](data) for data in inputs(name)}
    assert len(seen) > 1, f"all of it is {seen}"


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name):
    some = list(inputs(name))
    near = st.builds(damaged, st.sampled_from(some), changes)

    @examples(EXAMPLES.get(name, 150))
    @given(near | st.binary(max_size=200))
    @example(b"")
    def holds(data):
        TARGETS[name](data)

    holds()


@pytest.mark.parametrize("name", ["codecs", "splitting"])
def test_packets_of_every_type_and_version_that_are_nearly_valid(name):
    @examples(EXAMPLES.get(name, 400))
    @given(nearly_valid())
    def holds(case):
        version, data = case
        TARGETS[name](bytes([version]) + data)  # 3 + version % 3 is another one, which is as good

    holds()
