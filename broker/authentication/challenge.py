"""CHALLENGE: a scripted exchange, so that a client's AUTH handling can be tested at any length.

The script is pairs of what the broker sends and what it expects in return, in order. With no
pairs the client is let in at once. What the client sends along to begin is not looked at.
"""

from collections.abc import Sequence

from broker.authentication.method import NOT_AUTHORIZED, Continue, Failure, Step, Success

CHALLENGE = "CHALLENGE"


class Challenge:
    """One run through the script. It names no user: CONNECT's user name stands."""

    __slots__ = ("_over", "_script", "_sent", "name")

    def __init__(self, script: Sequence[tuple[bytes, bytes]]) -> None:
        self.name = CHALLENGE
        self._script = script
        self._sent = 0  # challenges
        self._over = False

    def start(self, data: bytes | None) -> Step:
        return self._next()

    def proceed(self, data: bytes | None) -> Step:
        if self._over or not self._sent:
            return Failure(NOT_AUTHORIZED, "no challenge is open")
        if data != self._script[self._sent - 1][1]:
            self._over = True
            words = f"response {self._sent} of {len(self._script)} is not the expected one"
            return Failure(NOT_AUTHORIZED, words)
        return self._next()

    def _next(self) -> Step:
        if self._sent == len(self._script):
            self._over = True
            return Success(None, None)
        self._sent += 1
        return Continue(self._script[self._sent - 1][0])
