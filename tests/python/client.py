"""Everyday use of the redis-py client, in one protocol version: client.py PORT PROTOCOL."""

import sys
import threading

import redis

port, protocol = int(sys.argv[1]), int(sys.argv[2])
client = redis.Redis(port=port, protocol=protocol, decode_responses=True)


def check(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"


check(client.ping(), True)
check(client.info("server")["redis_version"].split(".")[0], "7")
check(client.set("string", "value", ex=100, nx=True), True)
check(client.get("string"), "value")
check(0 < client.ttl("string") <= 100, True)
check(client.set("string", "other", nx=True), None)
check(client.mget("string", "nokey"), ["value", None])
check(client.incrbyfloat("float", 1.5), 1.5)
check(client.hset("hash", mapping={"a": 1, "b": 2}), 2)
check(client.hgetall("hash"), {"a": "1", "b": "2"})
check(client.rpush("list", 1, 2, 3), 3)
check(client.lrange("list", 0, -1), ["1", "2", "3"])
check(client.sadd("set", "x", "y"), 2)
check(client.smembers("set"), {"x", "y"})
check(client.zadd("zset", {"one": 1, "two": 2.5}), 2)
check([list(pair) for pair in client.zrange("zset", 0, -1, withscores=True)], [["one", 1.0], ["two", 2.5]])
check(client.zscore("zset", "two"), 2.5)
check(sorted(client.scan_iter(match="*s*t*")), ["list", "set", "string", "zset"])
check(client.object("encoding", "hash"), "listpack")
check(client.config_get("maxmemory"), {"maxmemory": "0"})
check(client.client_setname("tester"), True)
check(client.client_getname(), "tester")
check([entry["name"] for entry in client.client_list() if entry["name"]], ["tester"])
check(client.command_count() > 100, True)

with client.pipeline(transaction=True) as pipe:
    pipe.incr("counter").incr("counter").lpop("list")
    check(pipe.execute(), [1, 2, "1"])


def increment(pipe):
    value = int(pipe.get("counter"))
    pipe.multi()
    pipe.set("counter", value + 1)


def work():
    for _ in range(20):
        client.transaction(increment, "counter")


threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
check(client.get("counter"), "82")

try:
    client.lpush("string", "x")
    raise AssertionError("a push to a string was accepted")
except redis.ResponseError as error:
    check(str(error), "WRONGTYPE Operation against a key holding the wrong kind of value")

check(client.blpop(["list"], timeout=1)[1], "2")
check(client.blpop(["nokey"], timeout=0.05), None)
check([client.xadd("stream", {"n": n}, id=f"{n}-1") for n in range(1, 6)], [f"{n}-1" for n in range(1, 6)])
check(client.xrange("stream", "(1-1", "3"), [("2-1", {"n": "2"}), ("3-1", {"n": "3"})])
check([entry[0] for entry in client.xrevrange("stream", count=2)], ["5-1", "4-1"])
check((client.xlen("stream"), client.xdel("stream", "5-1"), client.xtrim("stream", maxlen=3, approximate=False)), (5, 1, 1))


def entries_of(reply):
    """The entries of the only stream of an answer, which is a list of pairs or a map of lists."""
    return reply[0][1] if protocol == 2 else reply["stream"][0]


check([entry[0] for entry in entries_of(client.xread({"stream": "2-1"}, count=1))], ["3-1"])
check(not client.xread({"stream": "$"}, block=10), True)
check(client.xgroup_create("stream", "group", "0"), True)
delivered = entries_of(client.xreadgroup("group", "ann", {"stream": ">"}))
check(delivered, [(f"{n}-1", {"n": str(n)}) for n in (2, 3, 4)])
check(client.xack("stream", "group", "2-1"), 1)
pending = client.xpending("stream", "group")
check((pending["pending"], pending["consumers"]), (2, [{"name": "ann", "pending": 2}]))
check([entry["message_id"] for entry in client.xpending_range("stream", "group", "-", "+", 10)], ["3-1", "4-1"])
check(client.xclaim("stream", "group", "bob", 0, ["3-1"]), [("3-1", {"n": "3"})])
check(client.xautoclaim("stream", "group", "bob", 0, count=1, justid=True), ["3-1"])
check([(one["name"], one["pending"]) for one in client.xinfo_consumers("stream", "group")], [("ann", 1), ("bob", 1)])
check([(one["name"], one["pending"]) for one in client.xinfo_groups("stream")], [("group", 2)])
check(client.xinfo_stream("stream")["last-entry"], ("4-1", {"n": "4"}))
check(client.xinfo_stream("stream", full=True)["length"], 3)
check(client.xgroup_destroy("stream", "group"), True)

check(client.flushall(), True)
check(client.dbsize(), 0)

with client.pubsub() as subscriber:
    subscriber.subscribe("news")
    subscriber.psubscribe("n*")
    subscriber.ssubscribe("shard")

    def hear(count):
        return [subscriber.get_message(timeout=5) for _ in range(count)]

    check([message["type"] for message in hear(3)], ["subscribe", "psubscribe", "ssubscribe"])
    check(client.publish("news", "hello"), 2)
    check(client.spublish("shard", "there"), 1)
    check([(message["type"], message["data"]) for message in hear(2)], [("message", "hello"), ("pmessage", "hello")])
    message = subscriber.get_sharded_message(timeout=5) if hasattr(subscriber, "cluster") else hear(1)[0]
    check((message["type"], message["channel"], message["data"]), ("smessage", "shard", "there"))
    check(client.pubsub_channels(), ["news"])
    check([list(pair) for pair in client.pubsub_numsub("news", "none")], [["news", 1], ["none", 0]])
    check(client.pubsub_numpat(), 1)
    if protocol == 2:
        # In RESP3 the answer is no message, which this client does not expect.
        subscriber.ping()
        check(hear(1)[0]["type"], "pong")
    subscriber.unsubscribe()
    check(hear(1)[0]["type"], "unsubscribe")

    client.config_set("notify-keyspace-events", "Ex")
    subscriber.psubscribe("__keyevent@0__:expired")
    hear(1)
    client.set("short", "life", px=5)
    event = subscriber.get_message(timeout=5)
    check((event["channel"], event["data"]), ("__keyevent@0__:expired", "short"))
check(client.pubsub_numpat(), 0)

with client.monitor() as monitor:
    client.set("watched", 'a "quoted" value')
    call = next(monitor.listen())
    check((call["command"], call["db"]), ('SET watched a "quoted" value', 0))
