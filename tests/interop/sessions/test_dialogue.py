"""The client against a minimal server in memory: scenarios, and long dialogues with cuts at random moments."""

import random
import sys
import time
import traceback

from client import Close, Session, Wrong
from frames import decode
from peer import Peer


class Rig:
    """A client, a server, and the network between them, with a clock that only the test moves."""

    def __init__(self, seed=1, kind=str, texts=False, limits=None, server=None):
        self.now = 0.0
        self.rng = random.Random(seed)
        self.client = Session(lambda: "".join(self.rng.choices("abcdefghijkl-_09", k=22)), lambda: self.now,
                              binary=kind is bytes, texts=texts, limits=limits)
        self.peer = Peer(self.rng, kind, server, texts)
        self.up, self.ups, self.downs, self.closed = False, [], [], None
        self.events = []

    def connect(self):
        self.up, self.ups, self.downs, self.closed = True, [], [], None
        self.peer.connect()
        self.client.connect()
        self.collect()

    def cut(self, code=1006):
        self.up = False
        self.peer.disconnect()
        again = self.client.disconnect(code)
        self.collect()
        return again

    def collect(self):
        while self.client.events:
            self.events.append(self.client.events.popleft())
        while self.client.out:
            wire = self.client.out.popleft()
            if isinstance(wire, Close):
                self.closed = wire
            else:
                self.ups.append(wire)
        self.downs += self.peer.out
        self.peer.out = []

    def settle(self):
        """Deliver until nothing is on its way."""
        self.client.pump()
        self.collect()
        while self.up and (self.ups or self.downs):
            self.step()

    def step(self):
        """Deliver one message in one direction."""
        if self.ups and (not self.downs or self.rng.random() < 0.5):
            self.peer.take(self.ups.pop(0))
            self.peer.pump()
        elif self.downs:
            self.client.receive(self.downs.pop(0))
        self.collect()

    def inject(self, wire):
        """The client gets this frame."""
        self.client.receive(wire)
        self.collect()

    def kinds(self):
        return [decode(wire)["kind"] for wire in self.ups]

    def ends(self):
        return {event[1].payload: event[2] for event in self.events if event[0] in ("end", "answer")}

    def take_all(self):
        taken = []
        while arrived := self.client.take():
            self.client.handle(arrived)
            taken.append(arrived.payload)
        self.collect()
        return taken


def equal(got, wanted):
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def opened(**options):
    rig = Rig(**options)
    rig.connect()
    rig.settle()
    return rig


# ---- scenarios ----

def test_riding():
    rig = Rig()
    for n in range(100):
        rig.client.send(str(n))
    rig.connect()
    first = [decode(wire) for wire in rig.ups]
    equal([frame["kind"] for frame in first], ["hello", "batch"])
    equal(len(first[1]["messages"]), 64)
    while rig.peer.hello is None or len(rig.peer.record.got) < 100:
        rig.settle()
        rig.peer.acknowledge()
        rig.collect()
    equal(rig.peer.record.got, [str(n) for n in range(100)])


def test_cut_between_hello_and_welcome():
    rig = Rig()
    rig.client.send("a")
    rig.connect()
    rig.cut()                    # nothing arrived
    rig.connect()
    equal(rig.kinds(), ["hello"])
    hello = decode(rig.ups[0])
    equal((hello["attempt"], hello["epoch"], hello["sent"], hello["first"]), (2, 0, 1, 1))
    rig.peer.take(rig.ups.pop(0))
    rig.cut()                    # the welcome is lost
    rig.client.send("b")
    rig.connect()
    rig.settle()
    equal(rig.peer.record.got, ["a", "b"])


def test_first_frame_after_the_welcome_is_an_ack():
    rig = opened()
    rig.cut()
    rig.client.send("x")
    rig.connect()
    rig.peer.take(rig.ups.pop(0))
    rig.collect()
    rig.client.receive(rig.downs.pop(0))
    rig.collect()
    equal(rig.kinds(), ["ack", "message"])


def test_lost_verdict():
    rig = opened()
    rig.peer.auto_handle = False
    items = [rig.client.send(f"m{n}") for n in range(1, 7)]
    request = rig.client.request("q")
    rig.settle()
    equal((items[-1].number, request.number), (7, 1))
    rig.cut()
    rig.client.send("waits")
    verdict = {"handled": 2, "also": [[4, 4]], "given": 5, "received": 6}
    rig.peer.next_welcome = ({"lost": "expired", "verdict": verdict}, None)
    rig.connect()
    rig.settle()
    equal(rig.ends(), {"q": "unknown", "m1": "handled", "m2": "unknown", "m3": "handled", "m4": "unknown",
                       "m5": "not handled", "m6": "not handled"})
    equal([event[0] for event in rig.events if event[0] in ("open", "lost", "end")][1:4], ["open", "lost", "end"])
    equal(rig.peer.record.got, ["waits"])


def test_lost_without_numbers():
    rig = opened()
    rig.client.send("m")
    rig.client.pump()
    rig.cut()
    rig.peer.next_welcome = ({"lost": "unknown", "verdict": None}, None)
    rig.connect()
    rig.settle()
    equal(rig.ends(), {"m": "unknown"})


def test_old_messages_after_a_loss():
    rig = opened()
    rig.peer.send("old")
    rig.settle()
    rig.cut()
    rig.peer.next_welcome = ({"lost": "unknown", "verdict": None}, None)
    rig.connect()
    rig.settle()
    equal(rig.take_all(), ["old"])
    equal(rig.client.handled, 0)


def test_out_of_step():
    for wire in ("~b 2[1]", "~a 0 1", "~a 1 0", "~g 1", "~B 1 9[1]", "~r 1 9 x"):
        rig = opened()
        rig.inject(wire)
        equal((wire, rig.closed.code, list(rig.client.inbox)), (wire, 3470, []))


def test_wrong_frames():
    for wire, code in (("~a 1", 3471), ("~b 1[]", 3471), ("~q", 3471), (b"\xc1s 1 \x01a", 3471)):
        rig = opened()
        rig.inject(wire)
        equal((wire, rig.closed.code), (wire, code))
    rig = Rig()
    rig.connect()
    rig.inject("early")
    equal(rig.closed.code, 3472)
    rig = Rig()
    rig.connect()
    rig.inject("~beat 20000")
    rig.inject("~later 1")
    equal(rig.closed, None)
    rig.settle()
    rig.inject("~welcome outcome=fresh epoch=7 owner=1 received=0 handled=0 first=1 sent=0 messages=1 bytes=1 message=1 "
               "requests=0 window=0")
    equal(rig.closed.code, 3472)


def test_welcome_that_does_not_fit():
    rig = opened()
    rig.client.send("m")
    rig.settle()
    old, epoch = rig.client.secret, rig.client.epoch
    rig.cut()
    rig.connect()
    rig.inject(f"~welcome outcome=continued epoch={epoch} owner=1 received=9 handled=0 first=1 sent=0 messages=9 bytes=9 "
               "message=9 requests=9 window=0")
    equal(rig.closed.code, 3470)
    equal(rig.ends(), {"m": "unknown"})
    assert rig.client.secret != old
    equal(rig.cut(3470), True)
    rig.peer.record = None
    rig.client.send("again")
    rig.connect()
    rig.settle()
    equal(rig.peer.record.got, ["again"])


def test_limits_of_the_client():
    rig = opened(limits={"messages": 3, "bytes": 100, "message": 50})
    rig.inject("x" * 51)
    equal(rig.closed.code, 4009)
    rig = opened(limits={"messages": 3, "bytes": 100, "message": 50})
    rig.inject("~b 1[1,2,3]")
    rig.inject("4")
    equal(rig.closed.code, 3474)
    rig = opened(limits={"messages": 3, "bytes": 100, "message": 500})
    rig.inject("x" * 101)
    equal(rig.closed, None)
    rig.inject("1")
    equal(rig.closed.code, 3474)


def test_window_of_the_server():
    rig = opened()
    rig.peer.auto_handle = False
    for n in range(60):
        rig.client.send(str(n))
    rig.settle()
    equal(len(rig.peer.record.got), 40)
    rig.cut()
    rig.connect()
    rig.settle()
    equal(len(rig.peer.record.got), 40)
    for number in range(1, 11):
        rig.peer.finish(number)
    rig.peer.acknowledge()
    rig.collect()
    rig.settle()
    equal(rig.peer.record.got, [str(n) for n in range(50)])
    rig = opened(server={"bytes": 100})
    rig.peer.auto_handle = False
    rig.client.send("small")
    rig.client.send("x" * 200)
    rig.settle()
    equal(rig.peer.record.got, ["small"])
    rig.peer.finish(1)
    rig.peer.acknowledge()
    rig.collect()
    rig.settle()
    equal(len(rig.peer.record.got), 2)


def test_acknowledgements():
    rig = opened(limits={"messages": 10})
    rig.inject("~b 1[1,2,3,4]")
    rig.take_all()
    equal(rig.kinds(), [])
    rig.now = 1.0
    rig.client.tick()
    rig.collect()
    equal(rig.ups, ["~a 4 0"])
    rig.ups.clear()
    rig.inject("~b 5[1,2,3,4,5]")
    rig.take_all()
    equal(rig.ups, ["~a 9 0"])
    rig.ups.clear()
    rig.inject("10")
    rig.inject("~w 10")
    rig.take_all()
    equal(rig.ups, ["~a 10 0"])
    rig.ups.clear()
    rig.inject("11")
    rig.take_all()
    rig.client.send("one")
    rig.client.send("two")
    rig.client.pump()
    rig.collect()
    equal(rig.ups, ["~B 1 11[one,two]"])
    rig.ups.clear()
    rig.client.send("[1,2")
    rig.client.send("3")
    rig.client.pump()
    rig.collect()
    equal(rig.ups, ["~s 3[\"[1,2\",\"3\"]"])


def test_handled_out_of_order():
    rig = opened()
    rig.inject("~b 1[1,2,3]")
    one, two, three = (rig.client.take() for _ in range(3))
    rig.client.handle(three)
    equal(rig.client.verdict(), {"handled": 0, "also": [[3, 3]], "given": 3, "received": 3})
    rig.client.handle(one)
    rig.client.handle(two)
    equal(rig.client.verdict(), {"handled": 3, "also": [], "given": 3, "received": 3})


def test_skip():
    rig = opened()
    rig.inject("1")
    rig.inject("~skip 9000000000000000")
    rig.inject("~b 9000000000000002[2]")
    rig.inject("~a 0 9000000000000002")
    equal(rig.closed, None)
    equal(rig.take_all(), ["1", "2"])
    equal(rig.client.handled, 9000000000000002)
    rig.inject("~skip 9007199254740991")
    equal(rig.closed.code, 3471)


def test_g():
    rig = opened()
    rig.inject("long")
    for _ in range(64):
        rig.inject("~c 99")
    equal(rig.ups, ["~g 65"])
    # The other way: 256 answers beyond a message that is not handled.
    rig = opened(limits={"requests": 400})
    rig.peer.auto_handle = False
    rig.client.send("long")
    rig.settle()
    for n in range(300):
        rig.inject("~q x")
    for event in [e for e in rig.events if e[0] == "request"]:
        rig.client.answer(event[1], "response", "y")
    rig.client.pump()
    rig.collect()
    equal(rig.kinds().count("response"), 256)
    rig.inject("~g 257")
    equal(rig.kinds().count("response"), 300)
    equal(sorted(rig.client.store)[:2], [1, 258])


def test_requests():
    rig = opened(limits={"requests": 2})
    items = [rig.client.request(f"q{n}") for n in range(8)]
    rig.settle()
    equal(list(rig.peer.record.requests.values()), ["q0", "q1", "q2", "q3", "q4"])
    rig.peer.answer(1, "response", "r0")
    rig.peer.answer(2, "refused", "handler")
    rig.settle()
    equal([(e[1].payload, e[2], e[3]) for e in rig.events if e[0] == "answer"],
          [("q0", "response", "r0"), ("q1", "refused", "handler")])
    equal(len(rig.peer.record.requests), 5)
    rig.client.cancel(items[2])
    rig.client.cancel(items[7])
    rig.settle()
    equal(rig.peer.record.cancelled, [3])
    rig.peer.answer(3, "refused", "cancelled")
    rig.settle()
    assert "q2" not in rig.ends()
    for n in range(3):
        rig.peer.ask(f"p{n}")
    rig.settle()
    asked = [e[1] for e in rig.events if e[0] == "request"]
    equal([a.payload for a in asked], ["p0", "p1"])
    rig.client.answer(asked[1], "error", "no")
    rig.settle()
    equal(sorted(rig.peer.record.answers.values()), [("error", "no"), ("refused", "limit")])
    rig.client.answer(asked[1], "error", "again")
    rig.settle()
    equal(len(rig.peer.record.answers), 2)


def test_owner_rises():
    rig = opened()
    rig.client.request("q1")
    rig.settle()
    rig.cut()
    rig.peer.record.owner = 2
    rig.peer.record.requests.clear()
    rig.connect()
    rig.settle()
    equal(rig.peer.record.requests, {2: "q1"})
    rig.peer.answer(2, "response", "r")
    rig.settle()
    equal(rig.ends(), {"q1": "response"})


def test_blame():
    rig = opened()
    rig.peer.auto_handle = False
    rig.client.send("good")
    rig.client.send("deadly")
    rig.client.send("after")
    rig.client.pump()
    rig.collect()
    rig.ups.clear()
    rig.cut(1009)
    for _ in range(3):
        rig.connect()
        rig.peer.take(rig.ups.pop(0))
        rig.collect()
        while rig.downs:
            rig.client.receive(rig.downs.pop(0))
        rig.collect()
        if rig.peer.record.received == 0:
            equal(rig.ups, ["~a 0 0", "good", "~w 1"])
            for wire in rig.ups:
                rig.peer.take(wire)
            rig.ups.clear()
            rig.peer.finish(1)
            rig.peer.acknowledge()
            rig.collect()
            rig.client.receive(rig.downs.pop(0))
            rig.collect()
            equal(rig.ups, ["deadly", "~w 2"])
        else:
            equal(rig.ups[1:], ["deadly", "~w 2"])
        rig.ups.clear()
        equal(rig.cut(1009), True)
    equal(rig.ends(), {"good": "handled", "deadly": "unknown"})
    rig.connect()
    rig.settle()
    rig.peer.acknowledge()
    rig.collect()
    rig.settle()
    rig.peer.finish(3)
    rig.peer.acknowledge()
    rig.collect()
    rig.settle()
    equal(rig.peer.record.got, ["good", "after"])
    equal(rig.ends()["after"], "handled")


def test_blamed_message_whose_handler_asks():
    rig = opened()
    rig.peer.auto_handle = False
    rig.client.send("asks")
    rig.client.pump()
    rig.collect()
    rig.ups.clear()
    rig.cut(1009)
    rig.connect()
    rig.settle()
    equal(rig.peer.record.got, ["asks"])
    rig.inject("~q what")
    arrived = next(event[1] for event in rig.events if event[0] == "request")
    rig.ups.clear()
    rig.client.answer(arrived, "response", "that")
    rig.client.pump()
    rig.collect()
    equal(rig.ups, [])
    rig.now += 5.0
    rig.client.tick()
    rig.collect()
    equal(rig.ups[-1], "~r 1 1 that")


def test_volatile():
    rig = Rig()
    equal(rig.client.volatile("lost"), False)
    rig.connect()
    rig.settle()
    equal(rig.client.volatile("kept"), True)
    rig.settle()
    equal(rig.peer.volatile, ["kept"])
    rig.inject("~v moved")
    equal(rig.events[-1], ("volatile", "moved"))
    rig.inject("~a 0 0")
    equal(rig.closed, None)


def test_ends():
    rig = opened()
    rig.peer.auto_handle = False
    rig.client.send("m1")
    rig.client.send("m2")
    rig.settle()
    rig.inject("~end sent=0 was-handled=1 was-given=1 was-received=2")
    equal((rig.closed.code, rig.ends()), (1000, {"m1": "handled", "m2": "not handled"}))
    equal(rig.cut(1000), False)
    rig = opened()
    rig.peer.auto_handle = False
    rig.client.send("m1")
    rig.settle()
    rig.cut()
    rig.client.send("m2")
    rig.client.finish()
    equal((rig.client.state, rig.client.disconnect(1006)), ("over", False))
    rig.collect()
    equal(rig.ends(), {"m1": "unknown", "m2": "not handled"})
    rig = opened()
    rig.client.finish()
    rig.collect()
    equal((rig.ups[-1], rig.closed.code), ("~end sent=0 was-handled=0 was-given=0 was-received=0", 1000))


def test_close_codes():
    for code, again in ((1000, True), (1006, True), (1009, True), (1013, True), (3470, True), (3476, True),
                        (3970, False), (3971, False), (3972, False), (3973, False), (3999, False)):
        rig = opened()
        rig.client.send("m")
        rig.client.pump()
        rig.client.send("n")
        equal((code, rig.cut(code)), (code, again))
        equal(rig.ends(), {} if again else {"m": "unknown", "n": "not handled"})


def test_refusals():
    rig = opened()
    for payload in ("x" * 5001,):
        try:
            rig.client.send(payload)
            raise AssertionError("it was taken")
        except Wrong:
            pass
    rig = Rig()
    for n in range(1000):
        rig.client.send("m")
    try:
        rig.client.send("m")
        raise AssertionError("it was taken")
    except Wrong:
        pass


def test_stalled_credential_ping():
    rig = opened()
    rig.inject("m")
    rig.client.take()
    rig.now = 31.0
    rig.client.tick()
    rig.client.tick()
    rig.collect()
    equal(rig.ups, ["~stalled 1"])
    rig.ups.clear()
    rig.client.new_credential("abc")
    rig.client.send("m")
    rig.client.pump()
    rig.client.ping()
    rig.collect()
    equal(rig.ups, ["~credential abc", "m", "~a 0 1", "~ping"])


def test_binary():
    rig = opened(kind=bytes)
    for payload in (b"\xc1\x01", b"", b"\x93\xc1"):
        rig.client.send(payload)
        rig.client.pump()
    rig.client.send(b"a")
    rig.client.send(b"\xc1b")
    rig.settle()
    equal(rig.peer.record.got, [b"\xc1\x01", b"", b"\x93\xc1", b"a", b"\xc1b"])


# ---- long dialogues ----

def dialogue(seed, kind=str, texts=False, messages=1000):
    rng = random.Random(seed)
    rig = Rig(seed, kind, texts, limits={"messages": 30, "bytes": 9000})
    make = (lambda side, n: f"~{side}{n} [" if texts else f'{{"{side}":{n}}}') if kind is str else (
        lambda side, n: b"\xc1" * (n % 3) + f"{side}{n}".encode() + bytes(n % 50))
    to_server = [make("c", n) for n in range(messages)]
    to_client = [make("s", n) for n in range(messages)]
    sent_up = sent_down = cuts = early = 0
    taken, held, answers = [], [], 0
    asked, asked_back = 0, 0
    steps = 0
    ended = {}
    while True:
        steps += 1
        assert steps < 400000, "the dialogue hangs"
        rig.now += 0.01
        if not rig.up:
            if rng.random() < 0.5:
                rig.connect()
                rig.peer.deaf = rng.random() < 0.1
        elif rng.random() < 0.05 and cuts < 400:
            cuts += 1
            early += rig.client.state == "hello"
            rig.cut(1009 if rng.random() < 0.1 else 1006)
        elif rig.client.state == "hello" and rng.random() < 0.1 and cuts < 400:
            cuts += 1
            early += 1
            rig.cut(1006)
        if rig.peer.deaf and rig.up and rig.peer.hello and not rig.peer.welcomed and rng.random() < 0.2:
            rig.peer.deaf = False
            rig.peer.welcome()
            rig.collect()
        for _ in range(rng.choice((0, 0, 1, 8))):
            if sent_up < messages and len(rig.client.queue) < 500:
                rig.client.send(to_server[sent_up], wait=rng.random() < 0.02)
                sent_up += 1
        for _ in range(rng.choice((0, 0, 1, 8))):
            if sent_down < messages:
                rig.peer.send(to_client[sent_down])
                sent_down += 1
        if asked < 100 and rng.random() < 0.1:
            rig.client.request(make("q", asked))
            asked += 1
        if asked_back < 100 and rng.random() < 0.1 and rig.peer.record and (
                asked_back - len(rig.peer.record.answers) < 50):
            rig.peer.ask(make("p", asked_back))
            asked_back += 1
        rig.client.pump()
        rig.client.tick()
        rig.collect()
        slow = steps // 100 % 2
        for _ in range(rng.randrange(2 if slow else 8)):
            if rig.up:
                rig.step()
        if rng.random() < 0.5 and (arrived := rig.client.take()):
            taken.append(arrived.payload)
            held.append(arrived)
        while held and (len(held) > 5 or rng.random() < 0.7):
            rig.client.handle(held.pop(rng.randrange(len(held))))
        if rig.peer.record and rig.up and rig.peer.record.requests and rng.random() < 0.3:
            number = rng.choice(list(rig.peer.record.requests))
            rig.peer.answer(number, "response", rig.peer.record.requests[number])
        rig.peer.pump()
        if rng.random() < 0.1:
            rig.peer.acknowledge()
        rig.collect()
        for event in rig.events:
            if event[0] == "request":
                rig.client.answer(event[1], "response", event[1].payload)
            elif event[0] == "answer":
                assert event[2:] == ("response", event[1].payload), event
                answers += 1
            elif event[0] == "end":
                assert event[2] == "handled" and event[1] not in ended, event
                ended[event[1]] = True
            assert event[0] not in ("closing", "lost", "over"), event
        rig.events.clear()
        if (sent_up == sent_down == messages and len(taken) == messages and not held and rig.client.idle()
                and asked == 100 and asked_back == 100 and len(rig.peer.record.answers) == 100 and not rig.peer.record.store):
            break
    equal(rig.peer.record.got, to_server)
    equal(taken, to_client)
    equal((answers, len(ended)), (100, messages))
    equal(rig.peer.record.handled, rig.client.sent)
    return cuts, early, rig.peer.replays_to_server, rig.peer.replays_to_client


def main():
    began, failed = time.monotonic(), 0
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        try:
            test()
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    for seed in range(runs):
        for kind, texts, name in ((str, False, "json"), (str, True, "text"), (bytes, False, "binary")):
            try:
                cuts, early, up, down = dialogue(seed, kind, texts)
                if seed < 3:
                    print(f"dialogue {seed} {name}: 1000 messages each way, 100 requests each way, {cuts} cuts, "
                          f"{early} between hello and welcome, {up} with a replay to the server, {down} to the client: "
                          "nothing lost, repeated or out of order")
            except Exception:
                failed += 1
                print(f"FAILED dialogue {seed} {name}")
                traceback.print_exc()
    print(f"{len(tests)} scenarios and {3 * runs} dialogues, {failed} failed, {time.monotonic() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
