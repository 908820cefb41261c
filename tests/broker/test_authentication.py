"""Enhanced authentication (5.0, section 4.12): SCRAM by its RFCs' examples, and the challenge."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.authentication.method import Continue, Failure, Success
from broker.authentication.methods import Methods
from broker.authentication.saslprep import saslprep
from broker.authentication.scram import Scram, ScramUsers
from tests.broker.scram_client import ScramClient

SCRAM = ("SCRAM-SHA-1", "SCRAM-SHA-256")
USERS = {"user": "pencil", "a,b=c": "x"}
OFFERED = Methods((*SCRAM, "CHALLENGE"), USERS, [("one?", "1"), ("two?", "2")])
NOT_AUTHORIZED = 0x87


def log_in(method_name, user, password, **options):
    """The whole exchange: the last step, and the client that took it."""
    method, client = (
        OFFERED.create(method_name),
        ScramClient(method_name, user, password, **options),
    )
    step = method.start(client.first())
    if isinstance(step, Continue):
        step = method.proceed(client.final(step.data))
    return step, client


EXAMPLES = {
    "RFC 5802, section 5": (
        "SCRAM-SHA-1",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "RFC 7677, section 3": (
        "SCRAM-SHA-256",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        (
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        ),
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


class TestScram:
    @pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
    def test_the_example_of_the_rfc(self, example):
        name, client_first, nonce, salt, server_first, client_final, server_final = example
        client = ScramClient(name, "user", "pencil", nonce=client_first.decode().split("r=")[1])
        users = ScramUsers(name, USERS, salt_of=lambda user: base64.b64decode(salt))
        server = Scram(users, nonce=nonce)
        assert client.first() == client_first
        assert server.start(client_first) == Continue(server_first)
        assert client.final(server_first) == client_final
        assert server.proceed(client_final) == Success(server_final, "user")
        assert client.is_server(server_final)

    @pytest.mark.parametrize("name", SCRAM)
    def test_a_user_with_its_password_gets_in_and_is_sure_of_the_server(self, name):
        step, client = log_in(name, "user", "pencil")
        assert isinstance(step, Success)
        assert step.user_name == "user"
        assert client.is_server(step.data)

    @pytest.mark.parametrize("name", SCRAM)
    @pytest.mark.parametrize("user", ["user", "nobody"], ids=["wrong password", "unknown user"])
    def test_wrong_password_and_unknown_user_end_in_the_same_words(self, name, user):
        step, _ = log_in(name, user, "pen")
        assert step == Failure(NOT_AUTHORIZED, "invalid-proof")

    @pytest.mark.parametrize("user", ["user", "nobody"])
    def test_the_salt_of_a_user_known_or_not_stays_and_looks_alike(self, user):
        def salt():
            step = OFFERED.create("SCRAM-SHA-256").start(f"n,,n={user},r=abc".encode())
            _, salt, iterations = step.data.decode().split(",")
            assert iterations == "i=4096"
            return base64.b64decode(salt.removeprefix("s="))

        assert salt() == salt()
        assert len(salt()) == 16

    def test_salts_differ_between_users_methods_and_runs(self):
        runs = [ScramUsers(name, USERS) for name in (*SCRAM, *SCRAM)]
        assert len({users.salt(user) for users in runs for user in (*USERS, "nobody")}) == 12

    def test_the_nonce_of_the_server_is_fresh_each_time(self):
        steps = [OFFERED.create("SCRAM-SHA-1").start(b"n,,n=user,r=abc") for _ in range(20)]
        assert len({step.data for step in steps}) == 20

    def test_comma_and_equals_sign_in_a_user_name(self):
        step, _ = log_in("SCRAM-SHA-256", "a,b=c", "x")
        assert step.user_name == "a,b=c"

    def test_a_name_in_another_form_is_the_same_user(self):
        step, _ = log_in("SCRAM-SHA-256", "us\u00ader", "pencil")
        assert step.user_name == "user"

    def test_a_client_that_could_do_channel_binding_gets_in(self):
        step, _ = log_in("SCRAM-SHA-256", "user", "pencil", gs2="y,,")
        assert isinstance(step, Success)

    def test_to_act_for_oneself_is_allowed(self):
        step, _ = log_in("SCRAM-SHA-256", "user", "pencil", gs2="n,a=user,")
        assert isinstance(step, Success)

    def test_a_client_may_begin_without_data(self):
        server, client = OFFERED.create("SCRAM-SHA-256"), ScramClient(SCRAM[1], "user", "pencil")
        assert server.start(None) == Continue(None)
        step = server.proceed(client.first())
        assert isinstance(server.proceed(client.final(step.data)), Success)

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", "not a client-first-message"),
            (b"n,,n=user", "not a client-first-message"),
            (b"n,,n=,r=abc", "not a client-first-message"),
            (b"n,,n=user,r=a\x07c", "not a client-first-message"),
            (b"n,,n=user,r=abc,", "not a client-first-message"),
            (b"n,,n=user,r=abc\n", "not a client-first-message"),
            (b"n,,m=must,n=user,r=abc", "not a client-first-message"),
            (b"n=user,r=abc", "not a client-first-message"),
            (b"\xff", "invalid-encoding"),
            (b"p=tls-unique,,n=user,r=abc", "channel-binding-not-supported"),
            (b"n,a=other,n=user,r=abc", "to act for another user is not supported"),
            (b"n,,n=us=er,r=abc", "invalid-username-encoding"),
            (b"n,,n=us\x01er,r=abc", "invalid-username-encoding"),
        ],
    )
    def test_a_broken_first_message_says_what_is_wrong(self, data, words):
        assert OFFERED.create("SCRAM-SHA-256").start(data) == Failure(NOT_AUTHORIZED, words)

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            (b"c=biws", b"c=eSws", "channel-bindings-dont-match"),
            (b",r=", b",r=x", "the nonce is not the one that was agreed on"),
            (b",p=", b",p=*", "invalid-encoding"),
            (b",p=", b",p=AAAA", "invalid-proof"),
            (b",p=", b",q=", "not a client-final-message"),
            (b"c=biws", b"c=\xff", "invalid-encoding"),
        ],
    )
    def test_a_broken_final_message_says_what_is_wrong(self, old, new, words):
        server, client = OFFERED.create("SCRAM-SHA-256"), ScramClient(SCRAM[1], "user", "pencil")
        final = client.final(server.start(client.first()).data)
        assert server.proceed(final.replace(old, new)) == Failure(NOT_AUTHORIZED, words)

    def test_extensions_are_passed_over_and_covered_by_the_proof(self):
        server = OFFERED.create("SCRAM-SHA-256")
        step = server.start(b"n,,n=user,r=abc,x=later")
        client = ScramClient(SCRAM[1], "user", "pencil", nonce="abc")
        assert server.proceed(client.final(step.data)) == Failure(NOT_AUTHORIZED, "invalid-proof")

    def test_nothing_follows_the_end(self):
        server, client = OFFERED.create("SCRAM-SHA-256"), ScramClient(SCRAM[1], "user", "pencil")
        final = client.final(server.start(client.first()).data)
        assert isinstance(server.proceed(final), Success)
        assert server.proceed(final) == Failure(NOT_AUTHORIZED, "the exchange is over")

    @pytest.mark.parametrize("wrong", [b"", b"c=biws"])
    def test_a_failure_leaves_no_second_try(self, wrong):
        server, client = OFFERED.create("SCRAM-SHA-256"), ScramClient(SCRAM[1], "user", "pencil")
        final = client.final(server.start(client.first()).data)
        assert isinstance(server.proceed(wrong), Failure)
        assert isinstance(server.proceed(final), Failure)

    @given(first=st.binary(max_size=40), then=st.binary(max_size=40))
    def test_any_bytes_give_a_step(self, first, then):
        server = OFFERED.create("SCRAM-SHA-1")
        assert isinstance(server.start(first), Continue | Failure)
        assert isinstance(server.proceed(then), Failure)

    def test_keys_are_derived_when_made_and_never_at_a_login(self, monkeypatch):
        derive, derived = hashlib.pbkdf2_hmac, []
        monkeypatch.setattr(hashlib, "pbkdf2_hmac", lambda *a: derived.append(a) or derive(*a))
        users = ScramUsers("SCRAM-SHA-256", USERS)
        assert len(derived) == len(USERS)
        derived.clear()
        for name in ("user", "nobody"):
            server = Scram(users)
            nonce = server.start(f"n,,n={name},r=abc".encode()).data.split(b",")[0]
            server.proceed(b"c=biws," + nonce + b",p=AAAA")
        assert derived == []


class TestSaslprep:
    """RFC 4013, section 3"""

    @pytest.mark.parametrize(
        ("text", "prepared"),
        [
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("a\u00a0b", "a b"),
            ("\u0627\u0628", "\u0627\u0628"),
        ],
    )
    def test_prepared(self, text, prepared):
        assert saslprep(text) == prepared

    @pytest.mark.parametrize(
        "text", ["\u0007", "\u06271", "\u0627a\u0628", "", "\u00ad", "\U0001f600"]
    )
    def test_prohibited(self, text):
        with pytest.raises(ValueError):
            saslprep(text)


class TestChallenge:
    def test_each_challenge_is_sent_and_each_response_expected(self):
        method = OFFERED.create("CHALLENGE")
        assert method.start(None) == Continue(b"one?")
        assert method.proceed(b"1") == Continue(b"two?")
        assert method.proceed(b"2") == Success(None, None)
        assert isinstance(method.proceed(b"2"), Failure)

    @pytest.mark.parametrize("response", [b"2", b"", None])
    def test_another_response_fails_and_leaves_no_second_try(self, response):
        method = OFFERED.create("CHALLENGE")
        method.start(b"not looked at")
        words = "response 1 of 2 is not the expected one"
        assert method.proceed(response) == Failure(NOT_AUTHORIZED, words)
        assert isinstance(method.proceed(b"1"), Failure)

    def test_no_script_lets_in_at_once(self):
        assert Methods(["CHALLENGE"], {}, []).create("CHALLENGE").start(None) == Success(None, None)


class TestMethods:
    def test_each_exchange_has_a_method_of_its_own(self):
        for name in (*SCRAM, "CHALLENGE"):
            first, second = OFFERED.create(name), OFFERED.create(name)
            assert first is not second
            assert first.name == second.name == name

    @pytest.mark.statement("MQTT5-4.12.0-1")
    def test_what_is_not_offered_is_none(self):
        methods = Methods(["SCRAM-SHA-256"], USERS, [])
        assert methods.create("SCRAM-SHA-1") is None
        assert methods.create("CHALLENGE") is None
        assert methods.create("scram-sha-256") is None
        assert methods.create("") is None

    def test_an_unknown_method_is_named(self):
        with pytest.raises(ValueError, match="GS2-KRB5 is not an authentication method"):
            Methods(["GS2-KRB5"], {}, [])

    def test_a_password_that_scram_cannot_have_is_named_without_being_shown(self):
        with pytest.raises(ValueError, match="password of user 'joe'") as caught:
            Methods(["SCRAM-SHA-1"], {"joe": "secret\x07"}, [])
        assert "secret" not in str(caught.value)
