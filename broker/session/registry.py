"""Which session belongs to which client id.

Threads: one lock around each look and change; what happens to a session found here is its worker's
business alone.
"""

import threading

from broker.limits import QueueLimits
from broker.session.session import Session
from broker.worker import Worker


class SessionRegistry:
    """All sessions of a broker, connected or not."""

    def __init__(self, limits: QueueLimits) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._limits = limits
        self._included: Worker | None = None  # the last one; most often it is the next one, too
        self.maximum = 0  # the most there have been at once

    def find_or_create(self, client_id: str, worker: Worker) -> tuple[Session, bool]:
        """The session of a client id, and whether it was made just now.

        A new one belongs to `worker`; an old one to whom it belonged [MQTT5-3.1.3-2]
        [MQTT3-3.1.3-2].
        """
        with self._lock:
            if worker is not self._included:
                self._limits.include(worker)
                self._included = worker
            sessions = self._sessions
            session = sessions.get(client_id)
            if session is not None:
                return session, False
            session = sessions[client_id] = Session(client_id, worker, self._limits)
            if len(sessions) > self.maximum:
                self.maximum = len(sessions)
            return session, True

    def find(self, client_id: str) -> Session | None:
        """The session of a client id, if there is one."""
        return self._sessions.get(client_id)

    def make(self, client_id: str, worker: Worker) -> Session:
        """A session that is not registered."""
        return Session(client_id, worker, self._limits)

    def replace(self, old: Session, new: Session) -> None:
        """Let `new` take the place of `old`, which its worker has ended (Clean Start)."""
        with self._lock:
            self._sessions[old.client_id] = new

    def remove(self, session: Session) -> None:
        """Forget a session that its worker has ended; nothing if another took its place."""
        with self._lock:
            if self._sessions.get(session.client_id) is session:
                del self._sessions[session.client_id]

    def full(self, maximum: int) -> bool:
        """Whether there are as many as there may be."""
        return len(self._sessions) >= maximum

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[Session]:
        """Every session there is just now."""
        with self._lock:
            return list(self._sessions.values())
