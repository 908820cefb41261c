"""The retained store: it matches as the reference does, empties, and lets go of what expires."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.message import NEVER, Message
from broker.topics.retained import RetainedStore
from tests.broker.topics import FILTERS, NAMES, reference


def message(topic, payload=b"x", expires_at=NEVER, origin="client"):
    return Message(topic, payload, 0, True, None, origin, expires_at)


def topics(store, topic_filter="#", now=0.0):
    return sorted(one.topic for one in store.match(topic_filter, now))


def empty(store):
    return not store._root.children and store._root.message is None


class TestMatching:
    @given(st.sets(NAMES, max_size=12), st.lists(FILTERS, min_size=1, max_size=6))
    def test_it_agrees_with_the_reference(self, names, filters):
        store = RetainedStore()
        for name in names:
            store.keep(message(name), 0.0)
        for topic_filter in filters:
            found = topics(store, topic_filter)
            assert found == sorted(name for name in names if reference(topic_filter, name))

    @given(st.lists(st.tuples(NAMES, st.binary(max_size=3)), max_size=40))
    @settings(max_examples=60)
    def test_it_counts_right_under_any_sequence_and_empties(self, steps):
        store, model = RetainedStore(), {}
        for topic, payload in steps:
            store.keep(message(topic, payload), 0.0)
            model[topic] = payload
            if not payload:
                del model[topic]
            assert store.count == len(model)
            assert store.size == sum(map(len, model.values()))
        for topic in model:
            assert [one.payload for one in store.match(topic, 0.0)] == [model[topic]]
            store.keep(message(topic, b""), 0.0)
        assert (store.count, store.size) == (0, 0)
        assert empty(store)

    def test_removing_what_is_not_there_changes_nothing(self):
        store = RetainedStore()
        store.keep(message("a/b"), 0.0)
        for topic in ("a", "a/b/c", "b"):
            store.keep(message(topic, b""), 0.0)
        assert (topics(store), store.count) == (["a/b"], 1)

    def test_a_walk_visits_only_the_branch_that_the_filter_names(self):
        store = RetainedStore()
        for place in range(1000):
            store.keep(message(f"other/{place}"), 0.0)
        store.keep(message("a/b/c"), 0.0)
        assert len(list(store._walk(["a", "+", "#"]))) == 2  # `a/b` and `a/b/c`


class TestExpiry:
    def test_a_message_is_there_until_it_expires(self):
        store = RetainedStore()
        store.keep(message("a", expires_at=10.0), 0.0)
        store.keep(message("a/b"), 0.0)
        assert topics(store, now=9.9) == ["a", "a/b"]
        assert topics(store, now=10.0) == ["a/b"]
        assert store.count == 1

    @pytest.mark.parametrize("look", ["match", "drop"])
    def test_what_has_expired_is_removed_by_the_next_look(self, look):
        store = RetainedStore()
        store.keep(message("a/b/c", expires_at=10.0), 0.0)
        store.keep(message("$SYS/a", expires_at=10.0), 0.0)
        if look == "match":
            assert topics(store, now=11.0) == topics(store, "$SYS/#", 11.0) == []
        else:
            store.drop_expired(11.0)
        assert (store.count, store.size) == (0, 0)
        assert empty(store)

    def test_the_limit_for_all_counts_from_when_it_was_kept(self):
        store = RetainedStore(expiry_s=60.0)
        store.keep(message("a"), 100.0)
        store.keep(message("b", expires_at=110.0), 100.0)
        assert topics(store, now=109.0) == ["a", "b"]
        assert topics(store, now=159.0) == ["a"]
        assert topics(store, now=160.0) == []

    def test_the_broker_s_own_are_spared(self):
        store = RetainedStore(expiry_s=60.0)
        store.keep(message("$SYS/broker/version", origin=""), 0.0)
        assert topics(store, "$SYS/#", 1000.0) == ["$SYS/broker/version"]
