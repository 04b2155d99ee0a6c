"""redis-py's Sentinel class: finds the primary and its replicas, follows a failover: sentinel.py HOST:PORT..."""

import sys
import time

import redis
from redis.sentinel import MasterNotFoundError, Sentinel

addresses = [(host, int(port)) for host, port in (word.rsplit(":", 1) for word in sys.argv[1:])]
sentinel = Sentinel(addresses, socket_timeout=1.0, min_other_sentinels=1)


def check(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


def patiently(work):
    """Does it again until it works: clients of Sentinels have to."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return work()
        except (redis.RedisError, MasterNotFoundError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


old = sentinel.discover_master("mymaster")
replicas = sentinel.discover_slaves("mymaster")
check(len(replicas), 2)
assert old not in replicas, (old, replicas)

first = sentinel.sentinels[0]
state = first.sentinel_master("mymaster")
check((state["is_master"], state["is_sdown"], state["num-other-sentinels"], state["quorum"]), (True, False, 2, 2))
check([slave["is_slave"] for slave in first.sentinel_slaves("mymaster")], [True, True])
check([other["flags"] for other in first.sentinel_sentinels("mymaster")], ["sentinel", "sentinel"])
check(list(first.sentinel_masters()), ["mymaster"])
try:
    sentinel.discover_master("nobody")
    raise AssertionError("there is no such master")
except MasterNotFoundError:
    pass

master = sentinel.master_for("mymaster", socket_timeout=1.0)
slave = sentinel.slave_for("mymaster", socket_timeout=1.0)
check(patiently(lambda: master.set("key", "before")), True)
check(slave.execute_command("ROLE")[0], b"slave")

def another(old):
    """Who leads when the old one does no longer."""
    deadline = time.monotonic() + 60
    while True:
        try:
            new = sentinel.discover_master("mymaster")
            if new != old:
                return new
        except MasterNotFoundError:
            pass
        assert time.monotonic() < deadline, "nobody took over"
        time.sleep(0.05)


switches = first.pubsub(ignore_subscribe_messages=True)
switches.subscribe("+switch-master")
switches.get_message(timeout=1.0)
check(first.sentinel_failover("mymaster"), True)
first_primary, old = old, another(old)
deadline = time.monotonic() + 60
while (message := switches.get_message(timeout=1.0)) is None:
    assert time.monotonic() < deadline, "nobody told of it"
words = [str(word) for word in ("mymaster", *first_primary, *old)]
check(message["data"].decode().split(" "), words)
check(patiently(lambda: master.get("key")), b"before")

print("ready", flush=True)
new = another(old)
check(patiently(lambda: master.get("key")), b"before")
check(patiently(lambda: master.set("key", "after")), True)
check(master.connection_pool.get_master_address(), new)
check(master.execute_command("ROLE")[0], b"master")
