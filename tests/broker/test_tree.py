"""The subscription tree: it matches as the reference does, and forgets what it must."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.topics import tree as module
from broker.topics.tree import SubscriptionTree
from tests.broker.topics import FILTERS, NAMES, reference, session, subscription

SESSIONS = [session(f"session {place}") for place in range(3)]
SHARES = st.sampled_from(["", "", "one", "other"])
PLACES = st.tuples(st.integers(0, 2), FILTERS, SHARES)


def matched(tree, topic):
    """Who gets what is published: (session, filter) pairs, and groups with their members."""
    route = tree.route(topic)
    plain = {
        (target.session, one.topic_filter) for target in route.targets for one in target.behind
    }
    shared = {(group.name, member.session) for group in route.groups for member in group.members}
    return plain, shared


def expected(model, topic):
    """The same by the reference matcher."""
    fitting = [key for key in model if reference(key[1], topic)]
    plain = {(SESSIONS[place], topic_filter) for place, topic_filter, share in fitting if not share}
    shared = {
        (f"$share/{share}/{topic_filter}", SESSIONS[place])
        for place, topic_filter, share in fitting
        if share
    }
    return plain, shared


class TestMatching:
    @given(st.sets(PLACES, max_size=12), st.lists(NAMES, min_size=1, max_size=6))
    def test_it_agrees_with_the_reference(self, places, topics):
        tree = SubscriptionTree()
        for place, topic_filter, share in places:
            tree.subscribe(subscription(SESSIONS[place], topic_filter, share=share))
        for topic in topics:
            assert matched(tree, topic) == expected(places, topic)

    @given(st.lists(st.tuples(st.booleans(), PLACES), max_size=30), st.lists(NAMES, max_size=4))
    @settings(max_examples=60)
    def test_it_stays_right_under_any_sequence_and_empties(self, steps, topics):
        tree, model = SubscriptionTree(), set()
        for adding, key in steps:
            place, topic_filter, share = key
            one = subscription(SESSIONS[place], topic_filter, share=share)
            if adding:
                assert tree.subscribe(one) == (key in model)
                model.add(key)
            else:
                tree.unsubscribe(one)
                model.discard(key)
            assert tree.count == len(model)
            for topic in topics:  # these are remembered from one step to the next
                assert matched(tree, topic) == expected(model, topic)
        for place, topic_filter, share in model:
            tree.unsubscribe(subscription(SESSIONS[place], topic_filter, share=share))
        assert tree.count == 0
        assert tree._root.empty

    def test_unsubscribing_what_is_not_there_changes_nothing(self):
        tree = SubscriptionTree()
        tree.subscribe(subscription(SESSIONS[0], "a/b"))
        for topic_filter, share in (("a", ""), ("a/b/c", ""), ("a/+", ""), ("a/b", "one")):
            tree.unsubscribe(subscription(SESSIONS[0], topic_filter, share=share))
        tree.unsubscribe(subscription(SESSIONS[1], "a/b"))
        assert tree.count == 1
        assert matched(tree, "a/b") == ({(SESSIONS[0], "a/b")}, set())

    def test_it_visits_only_what_can_match(self):
        tree = SubscriptionTree()
        for place in range(1000):
            tree.subscribe(subscription(SESSIONS[0], f"other/{place}/#"))
        tree.subscribe(subscription(SESSIONS[0], "a/+"))
        assert len(list(tree._match("a/b"))) == 1


class TestTargets:
    def test_one_of_each_session(self):
        tree = SubscriptionTree()
        tree.subscribe(subscription(SESSIONS[0], "a/b", 1, identifier=5))
        tree.subscribe(subscription(SESSIONS[0], "#", 2, no_local=True, identifier=6))
        tree.subscribe(subscription(SESSIONS[1], "a/+", 0))
        first, second = sorted(
            tree.route("a/b").targets, key=lambda target: target.session.client_id
        )
        assert (first.qos, sorted(first.identifiers), first.no_local) == (2, [5, 6], True)
        assert (second.qos, second.identifiers, second.no_local) == (0, (), False)
        assert (first.particular, second.particular) == (True, False)

    def test_or_one_of_each_subscription(self):
        tree = SubscriptionTree(single=False)
        tree.subscribe(subscription(SESSIONS[0], "a/b", 1, identifier=5))
        tree.subscribe(subscription(SESSIONS[0], "#", 2))
        targets = tree.route("a/b").targets
        assert sorted((target.qos, target.identifiers) for target in targets) == [
            (1, (5,)),
            (2, ()),
        ]

    def test_closed_topics_are_not_open(self):
        tree = SubscriptionTree(closed=lambda topic: topic == "a")
        assert [tree.route(topic).open for topic in ("a", "b")] == [False, True]


class TestRemembering:
    def test_a_route_is_remembered_by_name_and_by_bytes(self):
        tree = SubscriptionTree()
        route = tree.route("caf\u00e9")
        assert tree.route("caf\u00e9") is route
        assert tree.by_bytes["caf\u00e9".encode()] is route

    @pytest.mark.parametrize("share", ["", "one"])
    @pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "#"])
    def test_it_is_forgotten_when_a_subscription_to_it_comes_changes_or_goes(
        self, topic_filter, share
    ):
        tree = SubscriptionTree()
        key = (0, topic_filter, share)
        old = tree.route("a/b")
        for qos in (1, 2):
            tree.subscribe(subscription(SESSIONS[0], topic_filter, qos, share))
            assert tree.by_bytes.get(b"a/b") is not old
            assert matched(tree, "a/b") == expected([key], "a/b")
            old = tree.route("a/b")
        if not share:
            assert old.targets[0].qos == 2
        tree.unsubscribe(subscription(SESSIONS[0], topic_filter, 0, share))
        assert b"a/b" not in tree.by_bytes
        assert matched(tree, "a/b") == (set(), set())

    def test_it_is_kept_when_that_cannot_matter(self):
        tree = SubscriptionTree()
        route = tree.route("a/b")
        tree.subscribe(subscription(SESSIONS[0], "a/c"))
        tree.unsubscribe(subscription(SESSIONS[0], "a/c"))
        assert tree.by_bytes[b"a/b"] is route

    def test_there_is_an_end_to_it(self, monkeypatch):
        monkeypatch.setattr(module, "REMEMBERED_ROUTES", 10)
        tree = SubscriptionTree()
        for place in range(35):
            tree.route(f"a/{place}")
        assert len(tree.by_bytes) <= 10
        assert tree.by_bytes.keys() == {name.encode() for name in tree._by_name}

    def test_long_names_are_not_remembered(self):
        tree = SubscriptionTree()
        tree.route("a" * (module.REMEMBERED_LENGTH + 1))
        assert not tree.by_bytes


class TestGroups:
    def test_a_group_is_found_by_its_whole_name(self):
        tree = SubscriptionTree()
        tree.subscribe(subscription(SESSIONS[0], "a/+", share="one"))
        assert tree.group("$share/one/a/+").name == "$share/one/a/+"
        for other in ("$share/other/a/+", "$share/one/a", "$share/one/a/+/b"):
            assert tree.group(other) is None

    def test_it_ends_with_its_last_member(self):
        tree = SubscriptionTree()
        for place in (0, 1):
            tree.subscribe(subscription(SESSIONS[place], "a", share="one"))
        for place in (0, 1):
            assert tree.group("$share/one/a") is not None
            tree.unsubscribe(subscription(SESSIONS[place], "a", share="one"))
        assert tree.group("$share/one/a") is None
