"""The client's side of SCRAM (RFC 5802, 7677), to test the server's with.

Written from the formulas of RFC 5802, section 3 and independent of the broker's code, HMAC of the
salted password included. It prepares nothing: give it names and passwords as they go on the wire.
"""

import base64
import hashlib
import hmac
import secrets


class ScramClient:
    def __init__(self, method, user, password, nonce=None, gs2="n,,"):
        self.hash_name = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[method]
        self.user = user.replace("=", "=3D").replace(",", "=2C")
        self.password = password.encode()
        self.nonce = nonce or secrets.token_hex(12)
        self.gs2 = gs2
        self.server_first = b""

    def first(self):
        return self.gs2.encode() + self._first_bare()

    def final(self, server_first):
        """client-final-message; remembers what `is_server` needs."""
        self.server_first = server_first
        fields = dict(field.split("=", 1) for field in server_first.decode().split(","))
        if not fields["r"].startswith(self.nonce) or fields["r"] == self.nonce:
            raise ValueError("the server's nonce does not go on from ours")
        salt, iterations = base64.b64decode(fields["s"]), int(fields["i"])
        self._salted = hashlib.pbkdf2_hmac(self.hash_name, self.password, salt, iterations)
        binding = base64.b64encode(self.gs2.encode()).decode()
        bare = f"c={binding},r={fields['r']}".encode()
        self._agreed = self._first_bare() + b"," + server_first + b"," + bare
        key = self._hmac(self._salted, b"Client Key")
        signature = self._hmac(hashlib.new(self.hash_name, key).digest(), self._agreed)
        proof = (int.from_bytes(key) ^ int.from_bytes(signature)).to_bytes(len(key))
        return bare + b",p=" + base64.b64encode(proof)

    def is_server(self, server_final):
        """Whether the server knows the password, too."""
        signature = self._hmac(self._hmac(self._salted, b"Server Key"), self._agreed)
        return server_final == b"v=" + base64.b64encode(signature)

    def _first_bare(self):
        return f"n={self.user},r={self.nonce}".encode()

    def _hmac(self, key, data):
        return hmac.new(key, data, self.hash_name).digest()
