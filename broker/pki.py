"""The test PKI: certificates for TLS listeners and their clients, made when they are needed.

Nothing that expires is kept in the tree: `ensure_test_pki` makes all of `FILES`, or finds them
made and valid. The keys of the authorities are thrown away, so that a set is remade as a whole,
and every certificate in a set is of the same making. It needs `cryptography` to make a set and
nothing to use one.

Threads: any thread or process may call `ensure_test_pki`, for the same folder at the same time.
"""

import contextlib
import datetime
import ipaddress
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

MADE = "made.json"  # written last; a folder without it is not ours to replace
LAYOUT = 2  # raise it when what is made changes, and folders made before are remade
LEAST_LEFT = datetime.timedelta(days=30)

# Days before and after `now`. Apple's clients refuse server certificates of more than 825 days.
AUTHORITY_DAYS = -365, 3650
LEAF_DAYS = -1, 820
EXPIRED_DAYS = -60, -31


class PkiError(Exception):
    """The test PKI cannot be made, in one line for the operator."""


class PkiFile(NamedTuple):
    name: str
    holds: str
    use: str


FILES = (
    PkiFile("ca.pem", "root certificate", "what a client trusts, to accept this broker"),
    PkiFile("intermediate.pem", "certificate that the root signed", "to complete a chain by hand"),
    PkiFile("ca-chain.pem", "root and intermediate", "as `ca.pem`, where the whole chain is asked"),
    PkiFile(
        "server.pem",
        "server certificate for localhost, 127.0.0.1 and ::1, and the intermediate",
        "the broker's own",
    ),
    PkiFile("server.key", "private key of `server.pem`", "the broker's own"),
    PkiFile(
        "other-host.pem",
        "server certificate for other.invalid only, and the intermediate",
        "the broker's own where a client must refuse it for its name",
    ),
    PkiFile("other-host.key", "private key of `other-host.pem`", "the broker's own"),
    PkiFile(
        "expired-server.pem",
        "server certificate for localhost that has expired, and the intermediate",
        "the broker's own where a client must refuse it for its age",
    ),
    PkiFile("expired-server.key", "private key of `expired-server.pem`", "the broker's own"),
    PkiFile(
        "client.pem",
        'client certificate, common name "test client", and the intermediate',
        "to be accepted where a client certificate is required",
    ),
    PkiFile("client.key", "private key of `client.pem`", "with `client.pem`"),
    PkiFile(
        "expired-client.pem",
        "client certificate that has expired, and the intermediate",
        "to be refused for its age",
    ),
    PkiFile("expired-client.key", "private key of `expired-client.pem`", "with it"),
    PkiFile(
        "revoked-client.pem",
        "client certificate that `crl.pem` revokes, and the intermediate",
        "to be refused where the listener has a `crlfile`",
    ),
    PkiFile("revoked-client.key", "private key of `revoked-client.pem`", "with it"),
    PkiFile(
        "foreign-client.pem",
        "client certificate from a root that nobody here trusts",
        "to be refused for its issuer",
    ),
    PkiFile("foreign-client.key", "private key of `foreign-client.pem`", "with it"),
    PkiFile("foreign-ca.pem", "that root", "what a client trusts, to refuse this broker"),
    PkiFile("crl.pem", "revocation lists of intermediate and root", "the broker's `crlfile`"),
    PkiFile(
        "psk.txt",
        "identity and key for TLS-PSK, `client:` and 64 hexadecimal digits",
        "the broker's `psk_file`, and what a client comes in with",
    ),
)
OURS = frozenset((MADE, *(file.name for file in FILES)))


class TestPki(NamedTuple):
    """A folder that holds all of `FILES`, until `valid_until`."""

    folder: Path
    valid_until: datetime.datetime

    def path(self, name: str) -> Path:
        """Where the file `name` of `FILES` is."""
        return self.folder / name


TestPki.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def pki_table() -> str:
    """`FILES` as a Markdown table, for the README."""
    rows = [f"| `{file.name}` | {file.holds} | {file.use} |" for file in FILES]
    return "\n".join(("| File | Holds | A test uses it |", "| --- | --- | --- |", *rows, ""))


def ensure_test_pki(folder: Path, now: datetime.datetime) -> TestPki:
    """The test PKI in `folder`, made if there is none that stays valid for `LEAST_LEFT`.

    `now` has a time zone. Paths in `folder` stay the same when a set is remade.

    Raises:
        PkiError: `cryptography` is missing, `folder` holds something else, or the disk refuses.
    """
    try:
        folder = folder.resolve()
        found = _found(folder, now)
        if found is not None:
            return found  # without the lock: nobody replaces a set that is valid
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f".{folder.name}.lock")):
            found = _found(folder, now)
            if found is not None:
                return found
            return _made(folder, now)
    except OSError as error:
        raise PkiError(f"the test PKI in {folder} cannot be made: {error}") from error


def _found(folder: Path, now: datetime.datetime) -> TestPki | None:
    """The set in `folder`, if it is whole, of this layout and valid for long enough."""
    try:
        made = json.loads((folder / MADE).read_text("utf-8"))
        since = datetime.datetime.fromisoformat(made["valid_from"])
        until = datetime.datetime.fromisoformat(made["valid_until"])
        valid = since <= now <= until - LEAST_LEFT
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    if not valid or made.get("layout") != LAYOUT:
        return None
    if not all((folder / file.name).is_file() for file in FILES):
        return None
    return TestPki(folder, until)


def _made(folder: Path, now: datetime.datetime) -> TestPki:
    """A new set, put in the place of `folder` as a whole. The caller holds the lock."""
    new = folder.with_name(f".{folder.name}.new")
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        old.rename(folder)  # a broker was killed between the two renames below
    for left_over in (new, old):
        shutil.rmtree(left_over, ignore_errors=True)
    replaces = folder.exists()
    others = [path for path in folder.iterdir() if path.name not in OURS] if replaces else []
    if others and not (folder / MADE).exists():
        raise PkiError(f"{folder} holds something else: name a folder of its own for the test PKI")
    contents = _contents(now)
    new.mkdir(0o700)
    for name, data in contents.items():
        _write(new / name, data)
    since, until = (now + datetime.timedelta(days=days) for days in LEAF_DAYS)
    made = {"layout": LAYOUT, "valid_from": since.isoformat(), "valid_until": until.isoformat()}
    _write(new / MADE, json.dumps(made).encode())
    for path in others:  # whoever put it there wants it there
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, new / path.name)
    if replaces:
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return TestPki(folder, until)


def _write(path: Path, data: bytes) -> None:
    mode = 0o600 if path.suffix == ".key" or path.name == "psk.txt" else 0o644
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
        file.write(data)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the file `lock`. A holder that is killed leaves the file, but no longer locked."""
    while True:
        with lock.open("ab") as file:
            _lock(file)
            try:
                held = os.path.samestat(os.fstat(file.fileno()), lock.stat())
            except FileNotFoundError:
                held = False
            if not held:  # whom we waited for removed it, and another may be locked by now
                continue
            try:
                yield
            finally:
                with contextlib.suppress(PermissionError):  # Windows, while others wait for it
                    lock.unlink()
            return


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX)


def _contents(now: datetime.datetime) -> dict[str, bytes]:
    """All of `FILES`, by name."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as missing:
        raise PkiError("the test PKI needs a package: pip install cryptography") from missing

    class Issued(NamedTuple):
        certificate: x509.Certificate
        key: ec.EllipticCurvePrivateKey

        def pem(self) -> bytes:
            return self.certificate.public_bytes(Encoding.PEM)

        def key_pem(self) -> bytes:
            return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def day(number: int) -> datetime.datetime:
        return now + datetime.timedelta(days=number)

    def issue(
        common_name: str,
        issuer: Issued | None,
        days: tuple[int, int],
        *more: tuple[x509.ExtensionType, bool],
    ) -> Issued:
        """Self-signed without `issuer`; `more` is extensions and whether they are critical."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Touchstone test PKI"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ])  # fmt: skip
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject if issuer else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(day(days[0]))
            .not_valid_after(day(days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
            )
        )
        for extension, critical in more:
            builder = builder.add_extension(extension, critical)
        return Issued(builder.sign(signer, SHA256()), key)

    def usage(*, signs_others: bool) -> tuple[x509.KeyUsage, bool]:
        return x509.KeyUsage(
            digital_signature=not signs_others,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_others,
            crl_sign=signs_others,
            encipher_only=False,
            decipher_only=False,
        ), True

    def authority(common_name: str, issuer: Issued | None, path_length: int) -> Issued:
        constraints = x509.BasicConstraints(ca=True, path_length=path_length)
        more = (constraints, True), usage(signs_others=True)
        return issue(common_name, issuer, AUTHORITY_DAYS, *more)

    def leaf(
        common_name: str, issuer: Issued, days: tuple[int, int], *hosts: x509.GeneralName
    ) -> Issued:
        """A server's certificate if it is for `hosts`, else a client's."""
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        more: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            usage(signs_others=False),
            (x509.ExtendedKeyUsage([purpose]), False),
        ]
        if hosts:
            more.append((x509.SubjectAlternativeName(hosts), False))
        return issue(common_name, issuer, days, *more)

    def revocations(issuer: Issued, *revoked: Issued) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(day(LEAF_DAYS[0]))
            .next_update(day(AUTHORITY_DAYS[1]))
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False
            )
            .add_extension(x509.CRLNumber(1), False)
        )
        for issued in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(issued.certificate.serial_number)
                .revocation_date(day(LEAF_DAYS[0]))
                .build()
            )
        return builder.sign(issuer.key, SHA256()).public_bytes(Encoding.PEM)

    root = authority("Touchstone test root", None, 1)
    intermediate = authority("Touchstone test intermediate", root, 0)
    foreign_root = authority("Foreign test root", None, 0)
    local = (
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    )
    revoked = leaf("revoked test client", intermediate, LEAF_DAYS)
    leaves = {
        "server": leaf("localhost", intermediate, LEAF_DAYS, *local),
        "other-host": leaf("other.invalid", intermediate, LEAF_DAYS, x509.DNSName("other.invalid")),
        "expired-server": leaf("localhost", intermediate, EXPIRED_DAYS, *local),
        "client": leaf("test client", intermediate, LEAF_DAYS),
        "expired-client": leaf("expired test client", intermediate, EXPIRED_DAYS),
        "revoked-client": revoked,
    }
    foreign = leaf("foreign test client", foreign_root, LEAF_DAYS)
    contents = {
        "ca.pem": root.pem(),
        "intermediate.pem": intermediate.pem(),
        "ca-chain.pem": root.pem() + intermediate.pem(),
        "foreign-ca.pem": foreign_root.pem(),
        "foreign-client.pem": foreign.pem(),
        "foreign-client.key": foreign.key_pem(),
        # Both lists: some clients check the whole chain, and then the root's has to be there.
        "crl.pem": revocations(intermediate, revoked) + revocations(root),
        "psk.txt": f"client:{secrets.token_hex(32)}\n".encode(),
    }
    for name, issued in leaves.items():
        contents[f"{name}.pem"] = issued.pem() + intermediate.pem()
        contents[f"{name}.key"] = issued.key_pem()
    return contents
