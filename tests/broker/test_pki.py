"""The test PKI: every file is accepted or refused as it is meant, and made only when needed."""

import contextlib
import datetime
import os
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from broker import pki
from broker.pki import FILES, LEAST_LEFT, PkiError, ensure_test_pki, pki_table

NOW = datetime.datetime.now(datetime.UTC)  # TLS looks at the real clock
YEAR = datetime.timedelta(days=365)
CERTIFICATES = [file.name for file in FILES if file.name.endswith(".pem")]
KEYS = [file.name for file in FILES if file.name.endswith(".key")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return ensure_test_pki(tmp_path_factory.mktemp("made") / "test-pki", NOW)


def serving(made, name, trusted="", crl=False):
    """A server's context, which wants a client certificate if it trusts somebody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.path(f"{name}.pem"), made.path(f"{name}.key"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if trusted:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(made.path(trusted))
    if crl:
        context.load_verify_locations(made.path("crl.pem"))
        context.verify_flags |= crl
    return context


def client(made, trusted="ca.pem", name="", crl=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(made.path(trusted))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if name:
        context.load_cert_chain(made.path(f"{name}.pem"), made.path(f"{name}.key"))
    if crl:
        context.load_verify_locations(made.path("crl.pem"))
        context.verify_flags |= crl
    return context


def shake_hands(server_context, client_context, host="localhost"):
    """The server's end of the connection, or the ssl.SSLError of who refused."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(up, down, server_side=True)
    peer = client_context.wrap_bio(down, up, server_hostname=host)
    waiting = [peer, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    return server


class TestServer:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
    @pytest.mark.parametrize("trusted", ["ca.pem", "ca-chain.pem"])
    def test_a_client_that_trusts_the_root_accepts_the_server(self, made, host, trusted):
        assert shake_hands(serving(made, "server"), client(made, trusted), host)

    def test_a_client_that_checks_the_whole_chain_for_revocation_accepts_it(self, made):
        checks = client(made, crl=ssl.VERIFY_CRL_CHECK_CHAIN)
        assert shake_hands(serving(made, "server"), checks)

    @pytest.mark.parametrize(
        ("name", "trusted", "host", "words"),
        [
            ("server", "ca.pem", "other.invalid", "Hostname mismatch"),
            ("server", "foreign-ca.pem", "localhost", "unable to get local issuer"),
            ("other-host", "ca.pem", "localhost", "Hostname mismatch"),
            ("other-host", "ca.pem", "127.0.0.1", "IP address mismatch"),
            ("expired-server", "ca.pem", "localhost", "certificate has expired"),
        ],
    )
    def test_a_client_refuses_the_server(self, made, name, trusted, host, words):
        with pytest.raises(ssl.SSLCertVerificationError, match=words):
            shake_hands(serving(made, name), client(made, trusted), host)

    def test_the_other_host_is_refused_for_nothing_but_its_name(self, made):
        assert shake_hands(serving(made, "other-host"), client(made), "other.invalid")


class TestClient:
    @pytest.mark.parametrize("crl", [False, ssl.VERIFY_CRL_CHECK_LEAF, ssl.VERIFY_CRL_CHECK_CHAIN])
    @pytest.mark.parametrize("trusted", ["ca.pem", "ca-chain.pem"])
    def test_the_client_is_accepted_by_its_name(self, made, trusted, crl):
        server = shake_hands(serving(made, "server", trusted, crl), client(made, name="client"))
        subject = dict(field for (field,) in server.getpeercert()["subject"])
        assert subject["commonName"] == "test client"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("revoked-client", "certificate revoked"),
            ("expired-client", "certificate has expired"),
            ("foreign-client", "unable to get local issuer"),
            ("server", "unsuitable certificate purpose"),
            ("", "peer did not return a certificate"),
        ],
    )
    def test_a_server_with_the_revocation_list_refuses(self, made, name, words):
        server = serving(made, "server", "ca.pem", ssl.VERIFY_CRL_CHECK_LEAF)
        with pytest.raises(ssl.SSLError, match=words):
            shake_hands(server, client(made, name=name))

    def test_the_revoked_client_is_refused_by_nothing_but_the_list(self, made):
        assert shake_hands(serving(made, "server", "ca.pem"), client(made, name="revoked-client"))

    def test_the_foreign_client_is_right_for_its_own_root(self, made):
        server = serving(made, "server", "foreign-ca.pem")
        assert shake_hands(server, client(made, name="foreign-client"))

    def test_the_intermediate_completes_a_chain(self, made, tmp_path):
        alone = tmp_path / "alone.pem"
        end = "-----END CERTIFICATE-----\n"
        alone.write_text(made.path("client.pem").read_text().split(end)[0] + end)
        context = client(made)
        context.load_cert_chain(alone, made.path("client.key"))
        with pytest.raises(ssl.SSLError, match="unable to get local issuer"):
            shake_hands(serving(made, "server", "ca.pem"), context)
        server = serving(made, "server", "ca.pem")
        server.load_verify_locations(made.path("intermediate.pem"))
        assert shake_hands(server, context)


class TestFiles:
    def test_the_folder_holds_what_the_table_says(self, made):
        names = {path.name for path in made.folder.iterdir()}
        assert names == {file.name for file in FILES} | {"made.json"}
        assert [path.name for path in made.folder.parent.iterdir()] == [made.folder.name]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_private_keys_are_for_the_owner_only(self, made):
        assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
        for name in KEYS:
            assert stat.S_IMODE(made.path(name).stat().st_mode) == 0o600

    def test_no_certificate_has_a_private_key_beside_it(self, made):
        for name in CERTIFICATES:
            assert b"PRIVATE" not in made.path(name).read_bytes()

    def test_no_server_certificate_is_too_long_for_apple(self):
        assert pki.LEAF_DAYS[1] - pki.LEAF_DAYS[0] <= 825

    def test_the_readme_gets_a_row_for_each(self):
        lines = pki_table().splitlines()
        assert len(lines) == 2 + len(FILES)
        assert all(line.count("|") == 4 for line in lines)


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "deeper" / "test-pki"


class TestMaking:
    def test_a_valid_set_is_used_again(self, folder):
        first = ensure_test_pki(folder, NOW)
        before = everything(folder)
        assert ensure_test_pki(folder, NOW + YEAR) == first
        assert everything(folder) == before

    def test_it_is_remade_before_it_expires_and_not_sooner(self, folder):
        first = ensure_test_pki(folder, NOW)
        last = first.valid_until - LEAST_LEFT
        assert ensure_test_pki(folder, last) == first
        before = everything(folder)
        second = ensure_test_pki(folder, last + datetime.timedelta(seconds=1))
        assert second.folder == first.folder
        assert second.valid_until > first.valid_until
        after = everything(folder)
        assert after.keys() == before.keys()
        assert all(after[name] != before[name] for name in before)

    @pytest.mark.parametrize("years", [10, 40])
    def test_it_can_be_made_at_any_time(self, folder, years):
        assert ensure_test_pki(folder, NOW + years * YEAR).valid_until > NOW + years * YEAR

    def test_a_clock_that_is_a_little_behind_the_maker_s_finds_it_valid(self, folder):
        first = ensure_test_pki(folder, NOW)
        assert ensure_test_pki(folder, NOW - datetime.timedelta(hours=23)) == first

    def test_it_is_remade_when_the_clock_was_wrong(self, folder):
        ensure_test_pki(folder, NOW + YEAR)
        assert ensure_test_pki(folder, NOW).valid_until < NOW + 3 * YEAR

    @pytest.mark.parametrize("name", ["client.key", "crl.pem"])
    def test_it_is_remade_when_a_file_is_missing(self, folder, name):
        made = ensure_test_pki(folder, NOW)
        made.path(name).unlink()
        ensure_test_pki(folder, NOW)
        assert made.path(name).exists()

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"valid_from": 1, "valid_until": 2}'])
    def test_it_is_remade_when_its_record_is_broken(self, folder, text):
        made = ensure_test_pki(folder, NOW)
        made.path("made.json").write_text(text)
        before = everything(folder)
        ensure_test_pki(folder, NOW)
        assert everything(folder) != before

    def test_it_is_remade_when_this_broker_makes_another_set(self, folder, monkeypatch):
        ensure_test_pki(folder, NOW)
        before = everything(folder)
        monkeypatch.setattr(pki, "LAYOUT", pki.LAYOUT + 1)
        ensure_test_pki(folder, NOW)
        assert everything(folder) != before

    def test_other_files_in_it_survive(self, folder):
        made = ensure_test_pki(folder, NOW)
        made.path("notes.txt").write_text("mine")
        (folder / "more").mkdir()
        (folder / "more" / "notes.txt").write_text("mine, too")
        ensure_test_pki(folder, NOW + 5 * YEAR)
        assert made.path("notes.txt").read_text() == "mine"
        assert (folder / "more" / "notes.txt").read_text() == "mine, too"

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(PkiError, match="holds something else"):
            ensure_test_pki(tmp_path, NOW)
        assert everything(tmp_path) == {"notes.txt": b"mine"}

    def test_an_empty_folder_will_do(self, folder):
        folder.mkdir(parents=True)
        assert ensure_test_pki(folder, NOW).path("ca.pem").exists()

    def test_what_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(PkiError, match="test-pki cannot be made"):
            ensure_test_pki(tmp_path / "file" / "test-pki", NOW)

    def test_a_half_made_folder_is_never_used(self, folder, monkeypatch):
        write, written = pki._write, []

        def write_three(path, data):
            if len(written) == 3:
                raise OSError("no space left on device")
            written.append(path)
            write(path, data)

        monkeypatch.setattr(pki, "_write", write_three)
        with pytest.raises(PkiError, match="no space left"):
            ensure_test_pki(folder, NOW)
        assert not folder.exists()
        monkeypatch.undo()
        ensure_test_pki(folder, NOW)
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_a_broker_killed_while_it_replaced_the_folder_loses_nothing(self, folder):
        ensure_test_pki(folder, NOW)
        before = everything(folder)
        folder.rename(folder.with_name(".test-pki.old"))
        (folder.parent / ".test-pki.old" / "notes.txt").write_text("mine")
        ensure_test_pki(folder, NOW)
        assert everything(folder)["notes.txt"] == b"mine"
        assert everything(folder).keys() == before.keys() | {"notes.txt"}
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_without_cryptography_one_line_names_the_install(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "cryptography", None)
        with pytest.raises(PkiError) as caught:
            ensure_test_pki(folder, NOW)
        assert "pip install cryptography" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(folder.parent.iterdir()) == []

    def test_a_set_that_is_there_needs_no_cryptography(self, folder, monkeypatch):
        first = ensure_test_pki(folder, NOW)
        monkeypatch.setitem(sys.modules, "cryptography", None)
        assert ensure_test_pki(folder, NOW) == first


class TestAtOnce:
    @pytest.mark.parametrize("stale", [False, True])
    def test_threads_all_get_the_one_set(self, folder, stale):
        if stale:
            ensure_test_pki(folder, NOW - 5 * YEAR)
        together, seen = threading.Barrier(6), []

        def start():
            together.wait()
            made = ensure_test_pki(folder, NOW)
            seen.append((made, everything(folder)))

        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 6
        assert all(one == seen[0] for one in seen)
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    def test_processes_all_get_the_one_set(self, folder):
        program = (
            "import datetime, hashlib, pathlib, sys\n"
            "from broker.pki import ensure_test_pki\n"
            "now = datetime.datetime.now(datetime.UTC)\n"
            "print('up', flush=True)\n"
            "sys.stdin.readline()\n"
            "made = ensure_test_pki(pathlib.Path(sys.argv[1]), now)\n"
            "print(hashlib.sha256(made.path('server.key').read_bytes()).hexdigest())\n"
        )
        with contextlib.ExitStack() as stack:
            brokers = [
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", program, folder],
                        cwd=Path(pki.__file__).parents[1],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                for _ in range(3)
            ]
            for broker in brokers:
                assert broker.stdout.readline() == "up\n"
            for broker in brokers:
                broker.stdin.write("\n")
                broker.stdin.flush()
            said = {broker.communicate()[0] for broker in brokers}
        assert [broker.returncode for broker in brokers] == [0, 0, 0]
        assert len(said) == 1
