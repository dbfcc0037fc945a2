"""A minimal server of the protocol, for tests. It shares only the reading and writing of frames with the client.

It is strict: it checks every count and limit, and raises `Broken` where the client breaks a rule.
"""

import random

from frames import decode, encode, size

LIMITS = {"messages": 40, "bytes": 20000, "message": 5000, "requests": 5}


class Broken(Exception):
    pass


class Record:
    """What a server keeps of one session."""

    def __init__(self, epoch):
        self.epoch, self.attempt, self.owner = epoch, 0, 1
        self.received = self.handled = 0
        self.sent = self.acked = 0
        self.store = {}                  # number: frame
        self.unhandled = {}              # number: size
        self.done = set()
        self.answers = {}                # our requests: number: answer
        self.got = []                    # the payloads of the client's messages, in order
        self.requests = {}               # the client's open requests: number: payload
        self.cancelled = []


class Peer:
    """One record and at most one connection. `out` holds what goes to the client."""

    def __init__(self, rng=None, kind=str, limits=None, texts=False):
        self.rng = rng or random.Random(1)
        self.kind, self.texts = kind, texts
        self.limits = dict(LIMITS, **(limits or {}))
        self.record = None
        self.ended = False
        self.out, self.waiting, self.volatile = [], [], []
        self.connected = False
        self.replays_to_client = self.replays_to_server = 0
        self.auto_handle = True
        self.deaf = False                # does not answer a hello
        self.next_welcome = None         # an outcome that the test wants

    # ---- the connection ----

    def connect(self):
        self.out, self.connected, self.hello = [], True, None
        self.riding = []

    def disconnect(self):
        self.connected = False
        self.out = []

    def put(self, frame):
        self.out.append(encode(frame, binary=self.kind is bytes, texts=self.texts))

    def take(self, wire):
        """A WebSocket message of the client."""
        frame = decode(wire)
        kind = frame["kind"]
        if kind in ("control", "unknown"):
            return
        if self.hello is None:
            if kind != "hello":
                raise Broken(f"{kind} before the hello")
            self.take_hello(frame)
            return
        if not self.welcomed:
            # The server is still busy with the hello: what rides waits, as it would in the buffers of the network.
            self.riding.append(frame)
            return
        self.take_frame(frame)

    def take_hello(self, hello):
        self.hello, self.welcomed = hello, False
        if hello["first"] > hello["sent"] + 1 or hello["handled"] > hello["received"]:
            raise Broken("the hello contradicts itself")
        self.may_ride = hello["epoch"] == 0 and hello["sent"] == 0
        if not self.deaf:
            self.welcome()

    def welcome(self):
        hello, record = self.hello, self.record
        verdict = None
        if self.next_welcome:
            outcome, verdict = self.next_welcome
            self.next_welcome = None
            self.record = record = Record(self.rng.randrange(1, 2**53))
        elif record is None:
            if hello["epoch"] != 0:
                raise Broken("an epoch that nobody gave")
            self.record = record = Record(self.rng.randrange(1, 2**53))
            outcome = "fresh"
        else:
            if hello["attempt"] <= record.attempt:
                raise Broken("an old attempt")
            if hello["epoch"] not in (0, record.epoch):
                raise Broken("another epoch")
            if not (hello["received"] <= record.sent and record.acked + 1 <= hello["received"] + 1
                    and record.received <= hello["sent"] and hello["first"] <= record.received + 1):
                raise Broken(f"the counts do not fit: {hello}, {vars(record)}")
            self.free(hello["handled"])
            missing = record.sent - hello["received"]
            outcome = {"replayed": missing} if missing else "continued"
            self.replays_to_client += bool(missing)
            self.replays_to_server += hello["sent"] > record.received
        record.attempt = hello["attempt"]
        anew = outcome == "fresh" or isinstance(outcome, dict) and "lost" in outcome
        self.peer = hello["limits"]
        self.wire = 0 if anew else hello["received"]
        self.count = record.received
        self.put({"kind": "welcome", "outcome": outcome, "epoch": record.epoch, "owner": record.owner,
                  "received": record.received, "handled": record.handled, "first": record.acked + 1, "sent": record.sent,
                  "limits": self.limits, "window": 120000, "beat": None, "return": None})
        self.told = record.handled
        self.welcomed = True
        rode = sum(len(frame.get("messages", [0])) for frame in self.riding)
        if self.riding and (not self.may_ride or rode > 64):
            raise Broken("too much rides, or at the wrong time")
        while self.wire < record.sent:
            self.put_numbered(self.wire + 1)
        for frame in self.riding:
            self.take_frame(frame)
        self.pump()

    # ---- receiving ----

    def take_frame(self, frame):
        record, kind = self.record, frame["kind"]
        if kind in ("message", "awaited-message"):
            self.take_messages([frame["payload"]])
        elif kind == "batch":
            if frame["first"] != self.count + 1:
                raise Broken("a batch begins at another number")
            if len(frame["messages"]) > 256 or len(frame["messages"]) > 1 and sum(map(size, frame["messages"])) > 65536:
                raise Broken("a batch is too large")
            if frame["handled"] is not None:
                self.free(frame["handled"])
            self.take_messages(frame["messages"])
        elif kind == "ack":
            if frame["sent"] != self.count:
                raise Broken(f"{frame['sent']} sent, {self.count} received")
            self.free(frame["handled"])
        elif kind == "request":
            number = self.next_number()
            record.requests[number] = frame["payload"]
            if len(record.requests) > self.limits["requests"]:
                raise Broken("too many requests")
            self.finish(number)
        elif kind in ("response", "error", "refused"):
            self.free(frame["handled"])
            number = self.next_number()
            if frame["request"] in record.answers:
                raise Broken("a second answer")
            record.answers[frame["request"]] = (kind, frame.get("payload", frame.get("why")))
            self.finish(number)
        elif kind == "cancel":
            record.cancelled.append(frame["request"])
            self.finish(self.next_number())
        elif kind == "skip":
            for _ in range(frame["count"]):
                self.finish(self.next_number())
        elif kind == "volatile":
            self.volatile.append(frame["payload"])
        elif kind == "end":
            if frame["sent"] != self.count:
                raise Broken("the end counts otherwise")
            self.ended = frame["verdict"]
        elif kind in ("hello", "welcome", "credential"):
            raise Broken(f"{kind} in the middle")

    def next_number(self):
        self.count += 1
        self.record.received = self.count
        return self.count

    def take_messages(self, messages):
        record = self.record
        for payload in messages:
            number = self.next_number()
            if size(payload) > self.limits["message"]:
                raise Broken("a message is too large")
            record.unhandled[number] = size(payload)
            if len(record.unhandled) > self.limits["messages"] or (
                    sum(record.unhandled.values()) > self.limits["bytes"] and len(record.unhandled) > 1):
                raise Broken("the window is overrun")
            record.got.append(payload)
            if self.auto_handle:
                self.finish(number)

    def finish(self, number):
        """The application is done with this number."""
        record = self.record
        record.unhandled.pop(number, None)
        record.done.add(number)
        while record.handled + 1 in record.done:
            record.handled += 1
            record.done.discard(record.handled)

    def free(self, handled):
        record = self.record
        if handled > record.sent:
            raise Broken("handled beyond what was sent")
        for number in range(record.acked + 1, handled + 1):
            record.store.pop(number, None)
        record.acked = max(record.acked, handled)

    # ---- sending ----

    def send(self, payload):
        self.waiting.append({"kind": "message", "payload": payload})
        self.pump()

    def ask(self, payload):
        self.waiting.append({"kind": "request", "payload": payload})
        self.pump()

    def answer(self, number, kind, payload):
        self.record.requests.pop(number)
        self.waiting.insert(0, {"kind": kind, "request": number, "why" if kind == "refused" else "payload": payload})
        self.pump()

    def pump(self):
        """Number and send what waits, within the client's window."""
        if not self.connected or self.hello is None or not self.welcomed:
            return
        record = self.record
        while self.waiting:
            frame = self.waiting[0]
            if frame["kind"] == "message":
                flight = [f for f in record.store.values() if f["kind"] == "message"]
                total = sum(size(f["payload"]) for f in flight)
                if len(flight) >= self.peer["messages"] or flight and total + size(frame["payload"]) > self.peer["bytes"]:
                    return
            record.sent += 1
            record.store[record.sent] = self.waiting.pop(0)
            self.put_numbered(record.sent)

    def put_numbered(self, number):
        """Send one number, or a few messages from it on as a batch."""
        record, frame = self.record, self.record.store[number]
        self.wire = number
        if frame["kind"] == "message":
            run = [frame["payload"]]
            while (number + len(run) <= record.sent and len(run) < 20 and self.rng.random() < 0.8
                   and record.store[number + len(run)]["kind"] == "message"):
                run.append(record.store[number + len(run)]["payload"])
            if len(run) > 1:
                self.wire = number + len(run) - 1
                handled = self.tell() if self.rng.random() < 0.5 else None
                self.put({"kind": "batch", "first": number, "handled": handled, "messages": run})
                return
        if "request" in frame:
            frame = {**frame, "handled": self.tell()}
        self.put(frame)

    def tell(self):
        self.told = self.record.handled
        return self.told

    def acknowledge(self):
        if self.connected and self.hello and self.welcomed and self.record.handled > self.told:
            self.put({"kind": "ack", "handled": self.tell(), "sent": self.wire})
