"""What the tests of limits ask of a broker."""


def reached(site):
    """The limits that something ran into, and how often."""
    statistics = site._statistics() if site.broker is None else site.broker.statistics()
    return {limit: count for limit, count in statistics.limits.items() if count}


def connected(site, client_id, version=5, listener=0, **options):
    client = site.client(version, listener)
    assert client.connect(client_id, **options).reason == 0
    return client
