"""The catalogue says the same of each statement in all its fields."""

import pytest

from docs.conformance_page import CHAPTERS
from oracle.statements import CATALOGUE, DOCUMENTS, LEVELS, OBSERVED, PARTIES, by_key, load

STATEMENTS = [statement for document in DOCUMENTS for statement in load(document)]


@pytest.mark.parametrize(
    ("document", "numbered", "unnumbered"), [("mqtt-5.0", 251, 152), ("mqtt-3.1.1", 141, 31)]
)
def test_all_statements_of_a_document_are_there(document, numbered, unnumbered):
    statements = load(document)
    assert sum(s.numbered for s in statements) == numbered
    assert sum(not s.numbered for s in statements) == unnumbered


def test_keys_are_unique_and_say_the_document():
    assert len(by_key()) == len(STATEMENTS)
    for statement in STATEMENTS:
        start = {"mqtt-5.0": ("MQTT5-", "U5-"), "mqtt-3.1.1": ("MQTT3-", "U311-")}
        assert statement.key.startswith(start[statement.document])


def test_the_same_id_means_different_rules_in_the_two_documents():
    assert "Maximum Packet Size" in by_key()["MQTT5-3.1.2-24"].text
    assert "Keep Alive" in by_key()["MQTT3-3.1.2-24"].text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_statements_stand_in_the_order_of_the_document(document):
    sections = [tuple(map(int, s.section.split("."))) for s in load(document)]
    assert sections == sorted(sections)


def test_fields_have_known_values():
    for statement in STATEMENTS:
        assert statement.level in LEVELS, statement.key
        assert statement.party in PARTIES, statement.key
        assert statement.chapter in CHAPTERS, statement.key
        assert statement.text, statement.key
        assert statement.section_title, statement.key


def test_who_is_bound_follows_from_the_party():
    for statement in STATEMENTS:
        assert statement.binds_server or statement.party == "client", statement.key
        assert statement.binds_client == (statement.party != "server"), statement.key


def test_a_twin_is_in_the_other_document_and_has_a_twin_itself():
    for statement in STATEMENTS:
        if statement.twin:
            twin = by_key()[statement.twin]
            assert twin.document != statement.document, statement.key
            assert twin.twin, statement.key


def test_a_reason_stands_only_where_something_is_owed():
    assert [s.key for s in STATEMENTS if s.reason and not s.binds_server] == []


def test_what_binds_a_client_says_whether_a_broker_can_observe_it():
    for statement in STATEMENTS:
        note = statement.observed_note
        if not statement.binds_client:
            assert (statement.observed, note) == ("", ""), statement.key
            continue
        assert statement.observed in OBSERVED, statement.key
        start = {"always": "", "if": "only if the Client ", "never": "because "}[statement.observed]
        assert note.startswith(start), statement.key
        assert bool(note) == bool(start), statement.key
        assert not note.endswith("."), statement.key


def test_what_may_be_cannot_be_broken():
    for statement in STATEMENTS:
        if statement.binds_client and statement.level == "may":
            assert statement.observed == "never", statement.key


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_client_has_to_do_is_mostly_observable(document):
    numbered = [s for s in load(document) if s.numbered and s.binds_client]
    assert sum(s.observable for s in numbered) > 0.8 * len(numbered)


def test_the_level_is_a_word_of_the_text():
    exceptions = {
        "MQTT3-2.3.1-4",  # "The same conditions apply to a Server": those of a MUST
        "MQTT5-3.1.2-12",  # "can be 0, 1 or 2"
        "U311-4.4-1",  # REQUIRED
        "U5-4.13.1-4",  # "Use Reason Code ...", of the SHOULD before it
        "U5-4.13.1-7",
        # What every packet is held to, said without a keyword.
        *("U5-1.5.5-1", "U5-2.1.2-1", "U311-2.2.1-1", "U311-2.2.3-1", "U311-2.2.3-2"),
        *("U5-6-1", "U311-6-1"),
    }
    without = {s.key for s in STATEMENTS if s.level.casefold() not in s.text.casefold()}
    assert without == exceptions


def test_the_notices_of_oasis_go_with_the_catalogue_and_the_page():
    beside = (CATALOGUE / "NOTICE-OASIS.md").read_text(encoding="utf-8")
    docs = CATALOGUE.parent.parent / "docs" / "NOTICE-OASIS.md"
    assert beside == docs.read_text(encoding="utf-8")
    assert "Copyright © OASIS Open 2019" in beside
    assert "Copyright © OASIS Open 2014" in beside
