"""What the page says about how it was measured."""

METHOD = """\
## How it is measured

- Each round starts a fresh broker, pinned to one core; the load generator, one process, is
  pinned to another. All over loopback. A warm-up is not counted. Rounds are interleaved: each
  workload on each broker in turn, then all of it again; figures are medians.
- *Window* is the number of published messages outstanding: published, and not yet delivered to
  every subscriber and (QoS 1 and 2) acknowledged to the publisher. The publishers of a fan-in
  share it. Payloads are 64 bytes and the protocol is MQTT 3.1.1 unless said.
- *per second* counts messages delivered to subscribers (round trips, connections; messages stored,
  for the storing of retained ones). *CPU us each* is user plus system time of the broker process
  over that number, in microseconds. *peak MiB* is the broker's largest resident size.
- *rate ratio* and *CPU ratio* are to Mosquitto: above 1 is faster in the first, below 1 cheaper in
  the second. *of another run*: Mosquitto was measured at another time.
- *busy* is the share of its core that the broker used, and the load generator of its own.
  *the load generator was the limit*: it used more than 90 % and the broker less than 90 %. CPU
  time and memory still count; the rate is a lower bound.
- *properties*: the publisher uses a topic alias and sends a user property, and the subscription
  has an identifier.
- *100 wildcard filters*: one for each of 100 subscribers, made of `+` and `#`, all of which match.
- *100,000 subscriptions*: 100 other clients hold them, all distinct, below `bench/many/`.
- *others subscribe and unsubscribe*: one client does, once each for every 50 messages delivered.
- *shared by 10*: one shared subscription with ten members; each message goes to one of them.
- *retained to a # subscriber*: subscribed, all received, and unsubscribed, again and again.
  *drain*: from CONNECT to the last message of the queue, at QoS 1.
- *TLS 1.3*: both clients; the publisher hands over what the window allows in one piece, so that its
  records are full. *WebSocket*: both clients; the publisher sends a frame for each packet.
- *conformance off*: without the ledger of what clients do, which is on in all other rows.
- *durable*: with `persistence true`. Touchstone acknowledges when the message is on the disk
  (fsync); Mosquitto writes its file at intervals and when it ends, and none of these runs is long
  enough for the first. To an offline session, *per second* counts acknowledgements, and every
  message has to be there when the client comes back.
- *persistence on, clean session*: `persistence true`, and no session that it would keep. The
  ratio in its note is what having persistence on costs those who do not use it.
- *stopped*, *killed and started*: the broker is filled, ended (SIGTERM) or killed (SIGKILL), and
  started again; times are from the start of its process. A client connects as soon as the port is
  bound, while the broker may still be loading, and takes all that is queued; then another
  subscribes to all that is retained. *per second* is all of it over the time until the last
  message. The goal is a CONNACK, with Session Present, in under 3 s.
- *p50 / p99 / max*: from the call that sends a message to having received it at another
  connection, one at a time.
- The generator sends packets made before the start, and counts by length. It checks that every
  message arrives, in order, once, and that nothing else does; a run in which that does not hold
  is a failure, not a number.
- *other processes*: the machine was not left alone; CPU per message still counts, rates and
  latencies do less.

"""
