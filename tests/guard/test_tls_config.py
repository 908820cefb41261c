"""TLS in the configuration: which listeners are left out, and what `--test-config` finds."""

import shutil

import pytest

from broker import config_sections
from broker.broker import Broker
from broker.config import Configuration
from broker.running import environment
from tests.ci.processes import run
from tests.guard.tls_peers import needs_psk

PSK = "listener 2 127.0.0.1\npsk_hint x\npsk_file psk.txt\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "psk.txt").write_text("a:00ff\n")
    return tmp_path


def parse(text):
    return Configuration.parse("allow_anonymous true\nlistener 1 127.0.0.1\n" + text, "b.conf")


class TestListenersThatAreLeftOut:
    def check(self, text, *warnings):
        configuration = parse(text)
        assert [listener.port for listener in configuration.listeners] == [1]
        assert configuration.warnings == list(warnings)

    def test_where_this_python_cannot_do_it(self, folder, monkeypatch):
        monkeypatch.setattr(config_sections, "psk_needs", lambda: "Python 4")
        self.check(PSK, "b.conf:3: listener: TLS-PSK needs Python 4; 2 is not opened")

    @needs_psk
    def test_without_keys(self, folder):
        self.check(
            "listener 2\npsk_hint x\n",
            "b.conf:3: listener: TLS-PSK needs a psk_file; 2 is not opened",
        )

    @needs_psk
    def test_where_the_file_is_not_there(self, folder):
        (folder / "psk.txt").unlink()
        self.check(
            PSK,
            f"b.conf:5: psk_file: there is no {folder}/psk.txt; nothing that needs it works",
            "b.conf:3: listener: TLS-PSK needs a psk_file; 2 is not opened",
        )


@needs_psk
class TestPsk:
    def test_the_file_may_be_of_the_test_pki_which_is_made_at_the_start(self, folder):
        configuration = parse("test_pki_dir pki\n" + PSK.replace("psk.txt", "pki/psk.txt"))
        assert configuration.warnings == []
        assert configuration.listeners[1].has_psk
        assert configuration.listeners[1]["psk_file"] == str(folder / "pki" / "psk.txt")

    def test_a_file_alone_makes_no_listener_tls(self, folder):
        configuration = parse("psk_file psk.txt\n")
        assert not any(listener.has_tls for listener in configuration.listeners)

    @pytest.mark.parametrize("name", ["cafile", "capath", "certfile", "crlfile", "keyfile"])
    def test_certificates_beside_it_have_no_effect(self, folder, name):
        assert parse(f"{PSK}{name} psk.txt\n").warnings == [
            f"b.conf:6: {name}: has no effect beside psk_hint"
        ]


class TestEnvironment:
    @needs_psk
    def test_a_program_that_wants_tls_is_not_sent_to_pre_shared_keys(self, folder, pki):
        text = f"{PSK}listener 0 127.0.0.1\ncertfile {pki}/server.pem\nkeyfile {pki}/server.key\n"
        configuration = parse(text.replace("listener 2", "listener 0"))
        configuration.listeners.pop(0)
        with Broker(configuration) as broker:
            found = environment(configuration, broker.ready, "ready.json")
            assert found["MQTT_TLS_PORT"] == str(broker.ports[1])


class TestTestConfig:
    """`--test-config`."""

    @pytest.fixture
    def check(self, tmp_path, pki):
        shutil.copytree(pki, tmp_path / "own")

        def check(*lines):
            path = tmp_path / "b.conf"
            path.write_text("\n".join(("listener 0 127.0.0.1", *lines, "")))
            done = run(tmp_path, "--test-config", "-c", path)
            return done.returncode, done.stdout, done.stderr

        return check

    def test_good_files(self, check, tmp_path):
        code, out, err = check("certfile own/server.pem", "keyfile own/server.key")
        assert (code, out, err) == (0, f"{tmp_path}/b.conf is good\n", "")

    @pytest.mark.parametrize(
        ("lines", "words"),
        [
            (("certfile own/server.pem",), "certfile: {}/own/server.pem: no private key in PEM"),
            (
                ("certfile own/server.pem", "keyfile own/client.key"),
                "keyfile: {0}/own/client.key is not the key of {0}/own/server.pem",
            ),
            (
                ("certfile own/server.pem", "keyfile own/server.key", "crlfile own/ca.pem"),
                "crlfile: {}/own/ca.pem: not a list of revoked certificates in PEM",
            ),
            (
                ("certfile own/server.pem", "keyfile own/server.key", "ciphers NONE"),
                "ciphers: NONE names no cipher",
            ),
        ],
    )
    def test_what_is_wrong_with_them(self, check, tmp_path, lines, words):
        code, out, err = check(*lines)
        assert (code, out) == (2, "")
        assert err == f"{tmp_path}/b.conf:1: {words.format(tmp_path)}\n"

    @needs_psk
    def test_pre_shared_keys(self, check, tmp_path):
        (tmp_path / "psk.txt").write_text("a:00\nb:5ec2e7x\n")
        code, _, err = check("psk_hint x", "psk_file psk.txt")
        words = "the key of 'b' is not an even number of hexadecimal digits"
        assert (code, err) == (
            2,
            f"{tmp_path}/b.conf:1: psk_file: {tmp_path}/psk.txt:2: {words}\n",
        )

    def test_a_test_pki_is_not_made_for_it(self, check, tmp_path):
        lines = "test_pki_dir pki", "certfile pki/server.pem", "keyfile pki/server.key"
        assert check(*lines)[0] == 0
        assert not (tmp_path / "pki").exists()
