"""Each statement that binds the Server is obeyed by a tagged line and shown by a marked test."""

import pytest

from docs.conformance_page import page
from oracle.accounting import ROOT, account, missing


@pytest.fixture(scope="module")
def accounting():
    return account()


def test_each_tag_and_mark_names_a_statement(accounting):
    if accounting.errors:
        pytest.fail("\n" + "\n".join(accounting.errors), pytrace=False)


def test_each_statement_that_binds_the_server_is_accounted_for(accounting):
    todo = missing(accounting)
    if todo:
        pytest.fail("\n" + "\n".join(todo), pytrace=False)


def test_the_page_is_current(accounting):
    written = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    if written != page(accounting):
        pytest.fail("docs/conformance.md is stale: run python docs/generate.py", pytrace=False)
