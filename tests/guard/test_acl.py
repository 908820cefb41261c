"""Access control lists: their files; what they grant, against a model that reads line by line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access import Client
from broker.config import ConfigError
from broker.guard.acl_file import Acl, Rules, read_acl
from broker.guard.rights import REMEMBERED_TOPICS, AclRights
from broker.topics.filters import matches
from tests.guard.test_filters import TOPICS, filters


class Source:
    """A list that is in force, without a file."""

    def __init__(self, acl):
        self.acl = acl


@pytest.fixture
def rights(tmp_path):
    """`rights(text, client_id, user_name)` are those by a file of this text."""

    def make(text, client_id="client", user_name="joe"):
        path = tmp_path / "acl"
        path.write_text(text, encoding="utf-8")
        return AclRights(Source(read_acl(str(path))), Client(client_id, user_name))

    return make


class TestFile:
    def test_a_line_without_an_access_means_both(self, rights):
        joe = rights("user joe\ntopic a/b\n")
        assert joe.may_publish("a/b")
        assert joe.may_receive("a/b")

    @pytest.mark.parametrize(
        ("access", "writes", "reads"),
        [("read", 0, 1), ("write", 1, 0), ("readwrite", 1, 1), ("deny", 0, 0)],
    )
    def test_the_accesses(self, rights, access, writes, reads):
        joe = rights(f"user joe\ntopic {access} a/+\n")
        assert (joe.may_publish("a/b"), joe.may_receive("a/b")) == (writes, reads)

    def test_what_no_line_allows_is_not(self, rights):
        joe = rights("user joe\ntopic a\n")
        assert not joe.may_publish("b")
        assert not joe.may_receive("a/b")

    def test_an_empty_file_allows_nothing(self, rights):
        assert not rights("# nothing\n").may_receive("a")

    def test_lines_before_the_first_user_are_of_anonymous_clients(self, rights):
        text = "topic read news\nuser joe\ntopic mail\n"
        assert rights(text, user_name=None).may_receive("news")
        assert not rights(text, user_name=None).may_receive("mail")
        assert not rights(text).may_receive("news")
        assert rights(text).may_receive("mail")

    def test_a_user_may_come_twice_and_have_a_name_of_two_words(self, rights):
        joe = rights("user joe do\ntopic a\nuser x\nuser joe do\r\ntopic b\n", user_name="joe do")
        assert joe.may_receive("a")
        assert joe.may_receive("b")

    def test_comments_blanks_and_filters_with_spaces(self, rights):
        joe = rights("# topic x\n\n  \nuser joe\n topic \t read  a b/#  \n#")
        assert joe.may_receive("a b/c")

    def test_deny_wins_wherever_it_stands(self, rights):
        joe = rights("user joe\ntopic a/#\ntopic deny a/secret/#\ntopic a/secret/x\n")
        assert joe.may_publish("a/b")
        assert not joe.may_publish("a/secret")
        assert not joe.may_receive("a/secret/x")

    def test_wildcards_at_the_beginning_do_not_open_the_topics_of_the_server(self, rights):
        joe = rights("user joe\ntopic #\n")
        assert not joe.may_receive("$SYS/broker/version")
        assert rights("user joe\ntopic $SYS/#").may_receive("$SYS/broker/version")

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("user joe\ntopic\n", ":2: topic: no topic filter"),
            ("#\n\ntopic foo a/b", ":3: topic: 'foo' is not one of read, write, readwrite, deny"),
            ("topic read a/#/b", ":1: topic: "),
            ("topic a+", ":1: topic: "),
            ("user", ":1: user: no name"),
            ("topc a", ":1: 'topc' is not topic, user or pattern"),
            ("pattern read a/x%u", ":1: pattern: %u is not all of the level 'x%u'"),
            ("pattern", ":1: pattern: no topic filter"),
        ],
    )
    def test_a_bad_line_is_an_error_that_names_file_and_line(self, tmp_path, text, says):
        path = tmp_path / "acl"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            read_acl(str(path))
        assert str(caught.value).startswith(f"{path}{says}")


class TestPatterns:
    def test_they_are_of_everybody_with_their_own_names(self, rights):
        text = "user joe\ntopic x\npattern read %u/%c/#\npattern write all\n"
        joe = rights(text, "c1", "joe")
        assert joe.may_receive("joe/c1/a")
        assert not joe.may_receive("joe/c2/a")
        assert not joe.may_receive("ann/c1/a")
        assert joe.may_publish("all")
        assert rights(text, "c1", None).may_publish("all")

    def test_without_a_user_name_those_with_a_user_name_do_not_count(self, rights):
        one = rights("pattern read %u/a\npattern read %c/a\n", "c", None)
        assert not one.may_receive("/a")
        assert not one.may_receive("%u/a")
        assert one.may_receive("c/a")

    def test_the_lines_of_the_user_come_first(self, rights):
        joe = rights("pattern deny a/#\npattern #\nuser joe\ntopic read a/b\ntopic deny b\n")
        assert joe.may_receive("a/b")
        assert not joe.may_publish("a/b")
        assert not joe.may_receive("b")
        assert joe.may_receive("c")

    @pytest.mark.parametrize("name", ["+", "#", "a+", "a/b", "/", "ann/#", "$SYS"])
    def test_a_name_that_is_more_than_a_level_opens_nothing(self, rights, name):
        for text, client_id, user_name in (
            ("pattern read %u/#\npattern read x\n", "c", name),
            ("pattern read %c/#\npattern read x\n", name, "joe"),
            ("pattern read %c/#\npattern read x\n", name, None),
        ):
            one = rights(text, client_id, user_name)
            for topic in ("ann/a", "a/b", "a/b/c", "x", f"{name}/x", "$SYS/broker/version"):
                assert not one.may_receive(topic)
            assert not one.may_subscribe("#")

    def test_such_a_name_is_no_matter_where_no_pattern_has_it(self, rights):
        assert rights("pattern read %u/#", "a/b", "joe").may_receive("joe/x")
        assert rights("user a/b\ntopic x", "c", "a/b").may_receive("x")


class TestSubscribe:
    def test_a_filter_is_granted_if_something_of_it_may_be_read(self, rights):
        joe = rights("user joe\ntopic read a/b\ntopic write w\ntopic read c/#\n")
        assert joe.may_subscribe("#")
        assert joe.may_subscribe("a/b")
        assert joe.may_subscribe("+/b")
        assert joe.may_subscribe("c")
        assert joe.may_subscribe("c/+/d")
        assert not joe.may_subscribe("a/c")
        assert not joe.may_subscribe("a")
        assert not joe.may_subscribe("w")
        assert not joe.may_subscribe("$SYS/#")

    def test_what_is_denied_is_not_granted(self, rights):
        joe = rights("user joe\ntopic #\ntopic deny a/#\n")
        assert joe.may_subscribe("#")
        assert not joe.may_subscribe("a")
        assert not joe.may_subscribe("a/+/c")
        assert joe.may_subscribe("+/b")


class TestReplaced:
    def test_another_list_counts_at_once(self):
        allow = Acl({"joe": Rules([("readwrite", "a")])})
        source = Source(allow)
        joe = AclRights(source, Client("c", "joe"))
        assert joe.may_publish("a")
        assert joe.remembers(b"a")
        source.acl = Acl({"joe": Rules([("readwrite", "b")])})
        assert not joe.remembers(b"a")
        assert not joe.may_publish("a")
        assert not joe.may_receive("a")
        assert joe.may_receive("b")

    def test_only_what_was_allowed_is_remembered_and_not_without_bound(self):
        joe = AclRights(Source(Acl({"joe": Rules([("write", "a/#")])})), Client("c", "joe"))
        assert not joe.may_publish("b")
        assert not joe.remembers(b"b")
        for number in range(REMEMBERED_TOPICS + 1):
            assert joe.may_publish(f"a/{number}")
        assert not joe.remembers(b"a/0")
        assert joe.remembers(b"a/%d" % REMEMBERED_TOPICS)

    def test_rights_are_the_same_for_the_same_client_and_list(self):
        source = Source(Acl())
        joe = AclRights(source, Client("c", "joe"))
        assert joe.same_as(AclRights(source, Client("c", "joe")))
        assert not joe.same_as(AclRights(source, Client("d", "joe")))
        assert not joe.same_as(AclRights(source, Client("c", None)))
        assert not joe.same_as(AclRights(Source(Acl()), Client("c", "joe")))
        assert not joe.same_as(None)


def model(acl_lines, patterns, names, wanted, topic):
    """What Mosquitto's manual says, line by line."""
    substituted = []
    for access, pattern in patterns:
        levels = [names.get(level, level) for level in pattern.split("/")]
        substituted.append((access, "/".join(levels)))
    for lines in (acl_lines, substituted):
        if any(access == "deny" and matches(filter_, topic) for access, filter_ in lines):
            return False
        if any(
            access in (wanted, "readwrite") and matches(filter_, topic) for access, filter_ in lines
        ):
            return True
    return False


accesses = st.sampled_from(("read", "write", "readwrite", "deny"))
own_lines = st.lists(st.tuples(accesses, filters), max_size=5)
pattern_lines = st.lists(
    st.tuples(
        accesses,
        st.tuples(filters, st.sampled_from(("", "%c/", "%u/"))).map(
            lambda parts: parts[1] + parts[0]
        ),
    ),
    max_size=4,
)


@given(own_lines, pattern_lines)
def test_rights_are_those_of_the_model(lines, patterns):
    acl = Acl({"a": Rules(lines)}, tuple(patterns))
    one = AclRights(Source(acl), Client("b", "a"))
    names = {"%c": "b", "%u": "a"}
    for topic in TOPICS:
        assert one.may_publish(topic) == model(lines, patterns, names, "write", topic)
        assert one.may_publish(topic) == model(lines, patterns, names, "write", topic)
        assert one.may_receive(topic) == model(lines, patterns, names, "read", topic)


@given(own_lines, pattern_lines, filters)
def test_a_filter_that_is_refused_matches_nothing_that_may_be_read(lines, patterns, wanted):
    one = AclRights(Source(Acl({"a": Rules(lines)}, tuple(patterns))), Client("b", "a"))
    if not one.may_subscribe(wanted):
        assert not any(one.may_receive(topic) for topic in TOPICS if matches(wanted, topic))
