"""Who may connect when nothing but `allow_anonymous` says so."""

import pytest

from broker.access import NOT_AUTHORIZED, SUCCESS, Access, AnonymousAccess, Client

NAMELESS = Client("c")
NAMED = Client("c", user_name="joe", password=b"secret")


@pytest.mark.parametrize("client", [NAMELESS, NAMED], ids=["no user name", "user name"])
@pytest.mark.parametrize(("allow_anonymous", "reason"), [(True, SUCCESS), (False, NOT_AUTHORIZED)])
def test_without_a_password_file_only_allow_anonymous_counts(client, allow_anonymous, reason):
    assert AnonymousAccess(allow_anonymous).connect(client) == reason


def test_a_name_from_the_certificate_is_enough():
    client = Client("c", user_name="test client", tls_identity="test client")
    assert AnonymousAccess(allow_anonymous=False).connect(client) == SUCCESS


def test_enhanced_authentication_is_enough():
    client = Client("c", user_name="joe", authenticated_by="SCRAM-SHA-256")
    assert AnonymousAccess(allow_anonymous=False).connect(client) == SUCCESS


def test_who_is_in_may_do_everything_and_is_not_asked():
    access: Access = AnonymousAccess(allow_anonymous=True)
    assert access.rights(NAMELESS) is None
    assert access.rights(NAMED) is None
