"""What all connections of one broker share.

Threads: built before the listeners start; what is in it guards itself.
"""

from dataclasses import dataclass, field

from broker.authentication.methods import Methods
from broker.behaviours import Behaviours
from broker.keeping import Keeping
from broker.lifetime import Lifetime
from broker.limits import Limits, QueueLimits, SubscriptionBytes
from broker.message import NEVER
from broker.router import Router
from broker.session.registry import SessionRegistry
from broker.topics.retained import RetainedStore
from broker.topics.tree import SubscriptionTree
from oracle.ledger import Ledger


@dataclass(slots=True)
class Context:
    """The shared half of the broker; see docs/architecture.md for who locks what."""

    methods: Methods
    behaviours: Behaviours = field(default_factory=Behaviours)
    overlapping_single: bool = True
    queues: QueueLimits = field(default_factory=lambda: QueueLimits(1000))
    upgrade_outgoing_qos: bool = False
    retain_expiry_s: float = NEVER
    keeping: Keeping | None = None  # where sessions and retained messages outlive the broker
    ledger: Ledger = field(default_factory=lambda: Ledger(10_000))
    limits: Limits = field(default_factory=Limits)
    tree: SubscriptionTree = field(init=False)
    subscribed: SubscriptionBytes = field(init=False)
    retained: RetainedStore = field(init=False)
    registry: SessionRegistry = field(init=False)
    router: Router = field(init=False)
    lifetime: Lifetime = field(init=False)

    def __post_init__(self) -> None:
        self.tree = SubscriptionTree(
            self.overlapping_single,
            lambda topic: topic.startswith("$") or self.behaviours.watch(topic),
        )
        self.subscribed = SubscriptionBytes(self.limits.subscription_bytes)
        self.retained = RetainedStore(
            self.retain_expiry_s, self.limits.retained_messages, self.limits.retained_bytes
        )
        self.registry = SessionRegistry(self.queues)
        self.router = Router(self.tree, self.retained, self.upgrade_outgoing_qos)
        self.lifetime = Lifetime(self.registry, self.router, self.keeping, self.subscribed)
