"""A client of the session protocol.

`Session` is the core: WebSocket messages in, WebSocket messages out, no sockets. `Client` drives it over `websockets`.
"""

import asyncio
import math
import random
import re
import secrets
import time
from collections import deque
from dataclasses import dataclass

from frames import MAX, Malformed, decode, encode, size

RIDE_FRAMES, RIDE_BYTES = 64, 65536
BATCH_MESSAGES, BATCH_BYTES = 256, 65536
ACK_MESSAGES, ACK_SECONDS = 300, 1.0
GOT_AFTER, ANSWERS_HELD = 64, 256
STALLED_SECONDS = 30.0
ALONE_TRIES = 3
ALONE_SECONDS = 5
BLAME = (1002, 1003, 1007, 1009, 3471, 3474, 4009)
ANSWERS = ("response", "error", "refused")
DEFAULT_LIMITS = {"messages": 1000, "bytes": 1048576, "message": 1048576, "requests": 64}


class Wrong(Exception):
    """The other end broke a rule; the connection ends with this code."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass
class Close:
    """In `Session.out`: close the connection, after what stands before it."""
    code: int
    reason: str


@dataclass(eq=False)
class Item:
    """Something that takes a number, from the moment at which the application asks for it."""
    kind: str                    # message, request, response, error, refused, cancel or skip
    payload: object = None       # for `refused` it is the reason
    number: int = 0              # 0 while it waits
    wait: bool = False           # somebody waits for its end: send a `w` behind it
    about: object = None         # the number of the request (answers) or its Item (cancellations)
    size: int = 0
    ended: str = ""              # requests: why the answer is not wanted any more
    blamed: bool = False
    tries: int = 0               # how many connections in a row ended while it was alone on its way
    extra: object = None         # free for the driver


@dataclass
class Arrived:
    """A message or a request of the server."""
    epoch: int
    number: int
    payload: object
    size: int = 0
    since: float | None = 0.0    # when the application took it


class Session:
    """The protocol without input and output.

    Call `connect`, `receive` and `disconnect` for the connection, and `tick` now and then. Send what `out` holds, in order.
    `events` holds tuples for the application; `take` gives it the next message.
    """

    def __init__(self, new_secret, clock, binary=False, texts=False, limits=None, credential=None,
                 queue_messages=1000, queue_bytes=1048576):
        self.new_secret, self.clock = new_secret, clock
        self.binary, self.texts = binary, texts
        self.limits = dict(DEFAULT_LIMITS, **(limits or {}))
        self.credential = credential
        self.queue_messages, self.queue_bytes = queue_messages, queue_bytes
        self.out, self.events = deque(), deque()
        self.inbox = deque()     # what has arrived, and was not taken; after a loss, what is left of the old epoch, too
        self.state = "down"      # down, hello (waits for the welcome), open, closed (this connection), over
        self.queue, self.front, self.urgent = deque(), deque(), deque()
        self.waiting_bytes = 0
        self.dropped_volatile = 0
        self.welcome = None
        self.peer = dict(DEFAULT_LIMITS)
        self.owner = 0
        self.asked = {}          # our numbered requests without an answer
        self.store = {}          # our numbered items that are not acknowledged
        self._begin_secret()

    # ---- the epoch ----

    def _begin_secret(self):
        self.secret, self.attempt, self.first_hello = self.new_secret(), 0, None
        self.sent_there = (0, 0, 0)
        self._begin_outgoing()
        self._begin_incoming(0)

    def _begin_outgoing(self):
        self.sent = self.acked = self.freed = 0
        self.wire = 0            # the last number of ours before this point of this connection
        self.rides = False
        self.base = 0            # `wire` at the beginning of this connection
        self.alone = 0           # the number of the blamed item that is alone on its way
        self.alone_until = 0
        self.asked_room = 0
        self.crowded = False     # something went out beside it
        self.flight_messages = self.flight_bytes = 0

    def _begin_incoming(self, epoch):
        self.epoch = epoch
        self.received = self.count = 0
        self.handled = self.told = 0
        self.done = {}           # ranges beyond `handled` that are handled: first number to last number
        self.unhandled = {}      # the sizes of the messages that the window counts
        self.unhandled_bytes = 0
        self.sizes_since = 0     # bytes handled since the last acknowledgement
        self.prefix_sizes = {}
        self.grew = None         # when the prefix grew, if the server was not told
        self.awaited = set()
        self.answers_beyond = []
        self.running = {}
        self.open_requests = set()
        self.last_counts = (0, 0)

    # ---- the connection ----

    def connect(self):
        """A connection with a session's sub-protocol is there: say hello, and ride if possible."""
        now = self.clock()
        if self.first_hello is None:
            self.first_hello = now
        self.attempt += 1
        self.out.clear()
        self.rides = self.epoch == 0 and self.sent == 0
        self.rode_bytes = 0
        self.wire = self.base = 0
        self.count = 0
        self.flight_messages = self.flight_bytes = 0
        self.alone, self.crowded = 0, False
        self.asked_room = 0      # the last number for which a `w` has gone out
        self.state = "hello"
        first = max(self.acked, self.freed) + 1
        self._put({"kind": "hello", "secret": self.secret, "attempt": self.attempt, "epoch": self.epoch,
                   "received": self.received, "handled": self.handled, "first": first, "sent": self.sent,
                   "limits": self.limits, "age": math.ceil((now - self.first_hello) * 1000),
                   "credential": self.credential})
        self.pump()

    def disconnect(self, code=1006):
        """The connection is gone. Return whether to come back."""
        if self.state == "over":
            return False
        was, self.state = self.state, "down"
        self.out.clear()
        # 1000 without an `end` is a loss like any other.
        if 3500 <= code <= 3999:
            self.give_up({3970: "twin", 3971: "twin", 3972: "not let in", 3973: "over"}.get(code, f"code {code}"))
            return False
        if was == "open" or self.wire > self.base:
            self.sent_there = (self.base, self.wire, 0 if self.crowded else self.alone)
        if code in BLAME:
            self._blame()
        return True

    def _blame(self):
        """What was sent on the last connection may be what ended it."""
        base, wire, alone = self.sent_there
        self.sent_there = (0, 0, 0)
        for number, item in self.store.items():
            if base < number <= wire and item.kind != "skip":
                item.blamed = True
                item.tries = item.tries + 1 if number == alone else 0
                if item.tries >= ALONE_TRIES:
                    self._set_aside(item)

    def _set_aside(self, item):
        if item.kind in ANSWERS:
            # The asker needs an answer, so a refusal takes the place of one that cannot be sent.
            item.kind, item.payload = "refused", "other"
        else:
            if item.kind == "request":
                self._end_request(item, "unknown")
            self._end(item, "unknown")
            item.kind = "skip"
        item.blamed, item.wait = False, True

    def give_up(self, why):
        """The session is over for good."""
        if self.state == "over":
            return
        self.state = "over"
        self._end_all(lambda item: "unknown")
        self._end_waiting()
        self.events.append(("over", why))

    def _end(self, item, how):
        if item.kind == "message":
            self.events.append(("end", item, how))

    def _end_request(self, item, how):
        self.asked.pop(item.number, None)
        if not item.ended:
            item.ended = how
            self.events.append(("answer", item, how, None))

    def _end_all(self, verdict):
        """End everything that has a number."""
        for item in list(self.store.values()):
            self._end(item, verdict(item))
        for item in list(self.asked.values()):
            self._end_request(item, verdict(item))
        self.store.clear()
        self.urgent = deque(item for item in self.urgent if item.kind == "request")
        self._begin_outgoing()

    def _end_waiting(self):
        for item in [*self.urgent, *self.front, *self.queue]:
            if item.kind == "request":
                self._end_request(item, "not handled")
            self._end(item, "not handled")
        self.urgent.clear(), self.front.clear(), self.queue.clear()
        self.waiting_bytes = 0

    # ---- what the application does ----

    def send(self, payload, first=False, wait=False):
        """Queue a message. It goes with the next `pump`. Return its Item."""
        item = Item("message", payload, wait=wait, size=size(payload))
        if self.state == "over":
            raise Wrong(0, "the session is over")
        if self.welcome and item.size > self.peer["message"]:
            raise Wrong(0, "the message is larger than the server takes")
        if len(self.queue) + len(self.front) >= self.queue_messages or (
                self.waiting_bytes and self.waiting_bytes + item.size > self.queue_bytes):
            raise Wrong(0, "too much waits")
        (self.front if first else self.queue).append(item)
        self.waiting_bytes += item.size
        return item

    def request(self, payload):
        if self.state == "over":
            raise Wrong(0, "the session is over")
        item = Item("request", payload, size=size(payload))
        if self.welcome and item.size > self.peer["message"]:
            raise Wrong(0, "the request is larger than the server takes")
        self.urgent.append(item)
        return item

    def cancel(self, item, how="cancelled"):
        """The answer is not wanted any more."""
        if item.ended:
            return
        item.ended = how
        if item in self.urgent:
            self.urgent.remove(item)
        elif item.number in self.asked:
            self.urgent.append(Item("cancel", about=item))

    def answer(self, arrived, kind, payload):
        """Answer a request: `response`, `error`, or `refused` with a reason."""
        if arrived.epoch == self.epoch and arrived.number in self.open_requests:
            self.open_requests.remove(arrived.number)
            if kind != "refused" and self.welcome and size(payload) > self.peer["message"]:
                kind, payload = "refused", "failed"
            self.urgent.append(Item(kind, payload, about=arrived.number, size=size(payload)))

    def volatile(self, payload):
        """Send it now or never."""
        if self.state != "open" or self.queue or self.front or self.wire < self.sent:
            self.dropped_volatile += 1
            return False
        self._put({"kind": "volatile", "payload": payload})
        return True

    def new_credential(self, value):
        self.credential = value
        if self.state == "open":
            self._put({"kind": "credential", "value": value})

    def take(self):
        """The next message for the application, or None. Call `handle` when the application is done with it."""
        if not self.inbox:
            return None
        arrived = self.inbox.popleft()
        arrived.since = self.clock()
        if arrived.epoch == self.epoch:
            self.running[arrived.number] = arrived
        return arrived

    def handle(self, arrived):
        """The application is done with this message."""
        if arrived.epoch == self.epoch:
            self.running.pop(arrived.number, None)
            self._done(arrived.number)
            self._acknowledge()

    def finish(self):
        """End the session: what waits is not handled, the rest unknown."""
        if self.state == "open":
            self._put({"kind": "end", "sent": self.wire, "verdict": self.verdict()})
            self.out.append(Close(1000, "the session is over"))
        self.give_up("closed")

    def idle(self):
        """Whether everything is handled and nothing waits."""
        return not (self.store or self.urgent or self.front or self.queue or self.asked)

    def verdict(self):
        """What became of the server's messages."""
        also = []
        for first, last in sorted(self.done.items()):
            if also and also[-1][1] == first - 1:
                also[-1][1] = last
            else:
                also.append([first, last])
        given = next((arrived.number - 1 for arrived in self.inbox if arrived.epoch == self.epoch), self.received)
        return {"handled": self.handled, "also": also, "given": max(given, self.handled), "received": self.received}

    def tick(self):
        """Look at the clock."""
        self._acknowledge()
        if self.alone and self.clock() >= self.alone_until:
            self.pump()
        if self.state == "open":
            for arrived in self.running.values():
                if arrived.since is not None and self.clock() - arrived.since >= STALLED_SECONDS:
                    arrived.since = None
                    self._put({"kind": "stalled", "number": arrived.number})

    def ping(self):
        """Ask the server for a beat, behind the counts if they are news."""
        if self.state == "open":
            if (self.handled, self.wire) != self.last_counts:
                self._put_ack()
            self._put({"kind": "control", "text": "~ping"})

    # ---- sending ----

    def _put(self, frame):
        self.out.append(encode(frame, binary=self.binary, texts=self.texts))

    def _put_ack(self):
        self._put({"kind": "ack", "handled": self._tell(), "sent": self.wire})
        self.last_counts = (self.handled, self.wire)

    def _tell(self):
        """The handled prefix, which the next frame tells the server."""
        self.told, self.grew, self.sizes_since = self.handled, None, 0
        self.awaited = {number for number in self.awaited if number > self.handled}
        return self.handled

    def pump(self):
        """Send what may go: first what is replayed, then what waits."""
        if self.state not in ("hello", "open"):
            return
        run = []
        while True:
            number = self.wire + 1
            item = self._replayed(number) if number <= self.sent else self._next_waiting(number)
            if item is None:
                break
            self.wire = number
            joins = item.kind == "message" and not item.blamed
            if item.kind == "message":
                self.flight_messages += 1
                self.flight_bytes += item.size
            if run and not (joins and type(item.payload) is type(run[0].payload)):
                self._put_run(number - len(run), run)
                run = []
            if joins:
                run.append(item)
            else:
                self._put_item(item)
            self.crowded = self.crowded or self.alone > self.acked
            if item.blamed:
                self.alone, self.alone_until = number, self.clock() + ALONE_SECONDS
            if (item.wait or item.blamed) and self.state == "open":
                says_so = item.wait and not item.blamed and len(run) == 1
                if run:
                    self._put_run(number + 1 - len(run), run)
                    run = []
                if not says_so:
                    self._put({"kind": "awaited", "number": number})
                self.asked_room = number
        if run:
            self._put_run(self.wire + 1 - len(run), run)
        waits = self.front or self.queue
        if self.state == "open" and waits and self.wire == self.sent > max(self.acked, self.asked_room) and not (
                self._room(waits[0])):
            # The server's own rules may acknowledge too late.
            self.asked_room = self.wire
            self._put({"kind": "awaited", "number": self.wire})

    def _blocked(self, item):
        """Whether a blamed item is alone on its way, or this one waits until it can be alone."""
        if self.alone and self.clock() >= self.alone_until:
            return False
        return self.alone > self.acked or (item.blamed and max(self.acked, self.base) < self.wire)

    def _room(self, item):
        if self.state == "hello":
            return self.wire < RIDE_FRAMES and self.rode_bytes + item.size <= RIDE_BYTES
        return self.flight_messages < self.peer["messages"] and (
            self.flight_messages == 0 or self.flight_bytes + item.size <= self.peer["bytes"])

    def _replayed(self, number):
        item = self.store.get(number) or Item("skip", number=number)
        if self.state != "open" or self._blocked(item) or item.kind == "message" and not self._room(item):
            return None
        return item

    def _next_waiting(self, number):
        if number > MAX or self.state == "hello" and not self.rides:
            return None
        item = self._choose()
        if item:
            item.number = number
            self.sent = number
            self.store[number] = item
            if item.kind == "request":
                self.asked[number] = item
        return item

    def _choose(self):
        if self.alone > self.acked and self.clock() < self.alone_until:
            return None
        if self.state == "open":
            held = sum(i.kind in ANSWERS or i.kind == "cancel" for i in self.store.values()) if self.urgent else 0
            for item in self.urgent:
                full = len(self.asked) >= self.peer["requests"] if item.kind == "request" else held >= ANSWERS_HELD
                if not full:
                    self.urgent.remove(item)
                    return item
        for queue in (self.front, self.queue):
            while queue and self.state == "open" and queue[0].size > self.peer["message"]:
                self.waiting_bytes -= queue[0].size
                self._end(queue.popleft(), "not handled")
            if queue:
                if not self._room(queue[0]):
                    return None
                item = queue.popleft()
                self.waiting_bytes -= item.size
                self.rode_bytes += item.size
                return item
        return None

    def _put_run(self, first, run):
        """Send consecutive messages: one alone, several in batches."""
        while run:
            total, length = 0, 0
            for item in run[:BATCH_MESSAGES]:
                cost = item.size + 6 if self.binary else len(encode(
                    {"kind": "batch", "first": 1, "handled": None, "messages": [item.payload]}, texts=self.texts).encode())
                total += cost
                if length and total > BATCH_BYTES - 64:
                    break
                length += 1
            messages, waits, run = [item.payload for item in run[:length]], run[0].wait, run[length:]
            if length == 1:
                self._put({"kind": "awaited-message" if waits else "message", "payload": messages[0]})
            else:
                handled = self._tell() if self.state == "open" and self.handled > self.told else None
                self._put({"kind": "batch", "first": first, "handled": handled, "messages": messages})
            first += length

    def _put_item(self, item):
        if item.kind == "skip":
            self._put({"kind": "skip", "count": 1})
        elif item.kind == "cancel":
            self._put({"kind": "cancel", "request": item.about.number})
        elif item.kind in ANSWERS:
            name = "why" if item.kind == "refused" else "payload"
            self._put({"kind": item.kind, "request": item.about, "handled": self._tell(), name: item.payload})
        else:
            self._put({"kind": item.kind, "payload": item.payload})

    # ---- receiving ----

    def receive(self, wire):
        """Take one WebSocket message of the current connection."""
        if self.state not in ("hello", "open"):
            return
        try:
            frame = decode(wire)
            self._take_frame(frame)
            self._acknowledge()
            self.pump()
        except Malformed as problem:
            self._close(3471, str(problem))
        except Wrong as problem:
            self._close(problem.code, problem.reason)

    def _close(self, code, reason):
        self.out.append(Close(code, reason))
        self.events.append(("closing", code, reason))
        if self.state != "over":
            self.state = "closed"

    def _take_frame(self, frame):
        kind = frame["kind"]
        if kind == "unknown":
            return
        if kind == "control":
            self.events.append(("control", frame["text"]))
            return
        if kind == "welcome":
            if self.state != "hello":
                raise Wrong(3472, "a second welcome")
            self._take_welcome(frame)
            return
        if self.state == "hello":
            raise Wrong(3472, f"`{kind}` before the welcome")
        if kind in ("hello", "credential"):
            raise Wrong(3472 if kind == "hello" else 3471, f"`{kind}` is not a frame of the server")
        getattr(self, "_take_" + kind.replace("-", "_"))(frame)

    def _take_welcome(self, frame):
        self.peer = frame["limits"]
        outcome = frame["outcome"]
        lost = isinstance(outcome, dict) and "lost" in outcome
        anew = lost or outcome == "fresh"
        risen = self.owner and frame["owner"] > self.owner
        self.owner = frame["owner"]
        received = 0 if anew else self.received
        # Nothing of ours belongs to the new epoch, unless it rode behind this hello.
        sent = 0 if lost and not self.rides else self.sent
        first = 1 if lost else max(self.acked, self.freed) + 1
        fits = (frame["received"] <= sent and first <= frame["received"] + 1 and frame["handled"] <= frame["received"]
                and received <= frame["sent"] and frame["first"] <= received + 1
                and (frame["epoch"] == self.epoch or anew or self.epoch == 0)
                and not (outcome == "fresh" and self.epoch != 0) and frame["epoch"] != 0)
        if not fits:
            self.events.append(("lost", "out-of-step"))
            self._end_all(lambda item: "unknown")
            self._begin_secret()
            raise Wrong(3470, "out of step: the counts of the welcome do not fit")
        self.welcome = frame
        self.state = "open"
        up = 0 if lost or self.rides else self.sent - frame["received"]
        down = outcome["replayed"] if isinstance(outcome, dict) and not lost else 0
        self.events.append(("open", "lost" if lost else outcome if isinstance(outcome, str) else "replayed", up, down))
        if lost:
            self.events.append(("lost", outcome["lost"]))
            if not self.rides:
                self._lose(outcome["verdict"])
        if anew:
            self._begin_incoming(frame["epoch"])
        self.epoch = frame["epoch"]
        self.count = self.received
        if not self.rides:
            self.wire = self.base = frame["received"]
        self._free(frame["handled"])
        # `received` is as good as a `g`. Without this, answers could wait for ever for a `g` that was lost.
        self._free_answers(frame["received"])
        if risen and not anew:
            self._blame()
            self._ask_again(frame["received"])
        elif self.sent_there[2] in self.store:
            self.store[self.sent_there[2]].tries = 0
        self.sent_there = (0, 0, 0)
        counted = [item for number, item in self.store.items() if number <= self.wire and item.kind == "message"]
        self.flight_messages, self.flight_bytes = len(counted), sum(item.size for item in counted)
        self._put_ack()
        awaited = [number for number, item in self.store.items() if number <= self.wire and item.wait]
        if awaited:
            self._put({"kind": "awaited", "number": max(awaited)})

    def _ask_again(self, received):
        """The process that was asked is gone: what it received and did not answer is asked again."""
        for item in reversed([item for number, item in self.asked.items() if number <= received]):
            del self.asked[item.number]
            if not item.ended:
                self.urgent.appendleft(item)
        # What it has not received goes again, but a cancellation that it has confirmed does not.
        for item in self.asked.values():
            if item.ended:
                self.urgent.append(Item("cancel", about=item))

    def _lose(self, verdict):
        """The old epoch is gone; this is what became of its messages."""
        def how(item):
            if verdict is None:
                return "unknown"
            if item.kind == "request":
                return "unknown" if item.number <= verdict["received"] else "not handled"
            if item.number <= verdict["handled"] or any(low <= item.number <= high for low, high in verdict["also"]):
                return "handled"
            return "unknown" if item.number <= verdict["given"] else "not handled"
        self._end_all(how)

    def _check_window(self, messages):
        """Check messages against the window before anything changes."""
        new = messages[max(0, self.received - self.count):]
        for message in new:
            if size(message) > self.limits["message"]:
                raise Wrong(4009, "a message is larger than the limit")
        total = sum(map(size, new))
        if len(self.unhandled) + len(new) > self.limits["messages"] or (
                self.unhandled_bytes + total > self.limits["bytes"] and (self.unhandled or len(new) > 1)):
            raise Wrong(3474, "the window is full")

    def _next_number(self):
        """Count one number of this connection. Return it, or None if it comes again."""
        self.count += 1
        if self.count > MAX:
            raise Wrong(3470, "out of step: numbers cannot rise any more")
        if self.count <= self.received:
            return None
        self.received = self.count
        return self.count

    def _take_message(self, frame):
        self._take_batch({"first": self.count + 1, "handled": None, "messages": [frame["payload"]]})

    def _take_awaited_message(self, frame):
        self._take_message(frame)
        self.awaited.add(self.count)

    def _take_batch(self, frame):
        if frame["first"] != self.count + 1:
            raise Wrong(3470, "out of step: a batch begins at another number")
        self._check_handled(frame["handled"])
        self._check_window(frame["messages"])
        for payload in frame["messages"]:
            number = self._next_number()
            if number:
                length = size(payload)
                self.unhandled[number] = length
                self.unhandled_bytes += length
                self.inbox.append(Arrived(self.epoch, number, payload, length))
        self._free(frame["handled"])

    def _take_skip(self, frame):
        if self.count + frame["count"] > MAX:
            raise Wrong(3471, "a skip goes beyond the last number")
        self.count += frame["count"]
        if self.count > self.received:
            self.done[self.received + 1] = self.count
            self.received = self.count
            self._grow()

    def _take_request(self, frame):
        if size(frame["payload"]) > self.limits["message"]:
            raise Wrong(4009, "a request is larger than the limit")
        number = self._next_number()
        if number:
            arrived = Arrived(self.epoch, number, frame["payload"])
            full = len(self.open_requests) >= self.limits["requests"]
            self.open_requests.add(number)
            self._done(number)
            if full:
                self.answer(arrived, "refused", "limit")
            else:
                self.events.append(("request", arrived))

    def _take_answer(self, frame):
        if size(frame.get("payload", "")) > self.limits["message"]:
            raise Wrong(4009, "an answer is larger than the limit")
        self._check_handled(frame["handled"])
        number = self._next_number()
        if number:
            self._done(number)
            self._note_answer(number)
            item = self.asked.pop(frame["request"], None)
            if item and not item.ended:
                item.ended = "answered"
                self.events.append(("answer", item, frame["kind"], frame.get("payload", frame.get("why"))))
        self._free(frame["handled"])

    _take_response = _take_error = _take_refused = _take_answer

    def _take_cancel(self, frame):
        number = self._next_number()
        if number:
            self._done(number)
            self._note_answer(number)
            if frame["request"] in self.open_requests:
                self.events.append(("cancelled", (self.epoch, frame["request"])))

    def _note_answer(self, number):
        """After 64 answers and cancellations beyond the prefix, say that they have arrived."""
        self.answers_beyond.append(number)
        self.answers_beyond = [n for n in self.answers_beyond if n > self.handled]
        if len(self.answers_beyond) >= GOT_AFTER:
            self._put({"kind": "got", "number": self.received})
            self.answers_beyond = []

    def _take_volatile(self, frame):
        if size(frame["payload"]) > self.limits["message"]:
            raise Wrong(4009, "a volatile message is larger than the limit")
        if len(self.inbox) < self.limits["messages"]:
            self.events.append(("volatile", frame["payload"]))
        else:
            self.dropped_volatile += 1

    def _take_ack(self, frame):
        if frame["sent"] != self.count:
            raise Wrong(3470, f"out of step: {frame['sent']} sent, {self.count} received")
        self._check_handled(frame["handled"])
        self._free(frame["handled"])

    def _take_got(self, frame):
        if frame["number"] > self.sent:
            raise Wrong(3470, "out of step: the server has got more than was sent")
        self._free_answers(frame["number"])

    def _free_answers(self, got):
        """Answers and cancellations are done when they have arrived."""
        for number, item in list(self.store.items()):
            if number > got:
                break
            if item.kind in ANSWERS or item.kind == "cancel":
                del self.store[number]
                self.freed = max(self.freed, number)

    def _take_awaited(self, frame):
        if frame["number"] > self.told:
            self.awaited.add(frame["number"])

    def _take_stalled(self, frame):
        self.events.append(("stalled", frame["number"]))

    def _take_end(self, frame):
        if frame["sent"] != self.count:
            raise Wrong(3470, f"out of step: {frame['sent']} sent, {self.count} received")
        self._lose(frame["verdict"])
        self._end_waiting()
        self.state = "over"
        self.out.append(Close(1000, "the server ended the session"))
        self.events.append(("over", "ended"))

    # ---- acknowledgements ----

    def _check_handled(self, handled):
        if handled is not None and handled > self.sent:
            raise Wrong(3470, "out of step: the server has handled more than was sent")

    def _free(self, handled):
        """The server has handled everything up to this number."""
        if handled is None:
            return
        for number in range(self.acked + 1, handled + 1):
            item = self.store.pop(number, None)
            if item is None:
                continue
            if item.kind == "message" and number <= self.wire:
                self.flight_messages -= 1
                self.flight_bytes -= item.size
            self._end(item, "handled")
        self.acked = max(self.acked, handled)

    def _done(self, number):
        if number <= self.handled or number in self.done:
            return
        self.done[number] = number
        self.prefix_sizes[number] = length = self.unhandled.pop(number, 0)
        self.unhandled_bytes -= length
        self._grow()

    def _grow(self):
        before = self.handled
        while last := self.done.pop(self.handled + 1, None):
            self.handled = last
            self.sizes_since += self.prefix_sizes.pop(self.handled, 0)
        if self.handled > before and self.grew is None:
            self.grew = self.clock()

    def _acknowledge(self):
        """Send an acknowledgement if one is due."""
        if self.state != "open" or self.handled <= self.told:
            return
        if (self.handled - self.told >= min(ACK_MESSAGES, max(1, self.limits["messages"] // 2))
                or self.sizes_since >= self.limits["bytes"] / 2
                or any(number <= self.handled for number in self.awaited)
                or self.clock() - self.grew >= ACK_SECONDS):
            self._put_ack()


# ---- the driver ----

class NoSession(Exception):
    """The server chose a sub-protocol without sessions. `connection` is open, or None if it answered none of the names."""

    def __init__(self, connection=None):
        super().__init__("the server does not speak sessions")
        self.connection = connection


def offers(name=None, demand=False):
    """What to offer, best first. A client without a name of its own offers `steady~2`."""
    if name is None:
        return ["steady~2"]
    return [f"{name}~2"] if demand else [f"{name}~2", f"{name}~1", name]


def window_of(text):
    """Read `5000-30000` in a text such as `reconnect=5000-30000`, as seconds."""
    found = re.search(r"reconnect[= ]([0-9]{1,10})-([0-9]{1,10})", text or "")
    return (int(found[1]) / 1000, int(found[2]) / 1000) if found else None


class Client:
    """Keeps a session over as many connections as it takes. Use it with `async with`.

    `on_request(payload)` answers a request; it may raise `Refuse`. `on_event(event)` sees what else happens.
    """

    def __init__(self, url, name=None, kind="json", demand=True, limits=None, credential=None,
                 on_request=None, on_event=None, connect_timeout=10.0, retry=(0.05, 5.0), grace=10.0):
        self.url, self.names, self.demand = url, offers(name, demand), demand
        self.on_request, self.on_event = on_request, on_event
        self.connect_timeout, self.retry, self.grace = connect_timeout, retry, grace
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self.session = Session(lambda: secrets.token_urlsafe(16), lambda: time.clock_gettime(clock),
                               binary=kind == "binary", texts=kind == "text", limits=limits, credential=credential)
        self.socket = None
        self.failure = None
        self.current = None      # the message that the application works on
        self.window = None       # when to come back, if the server said so
        self.handlers = {}
        self.something = asyncio.Event()
        self.outgoing = asyncio.Event()
        self.turn = False
        self.own_cut = False

    async def __aenter__(self):
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_):
        self.session.give_up("left")
        self.task.cancel()
        await asyncio.gather(self.task, *self.handlers.values(), return_exceptions=True)

    # ---- what the application calls ----

    def send(self, payload, first=False, wait=False):
        """Send a message. Return a future that tells its end: `handled`, `not handled` or `unknown`."""
        item = self.session.send(payload, first, wait)
        item.extra = asyncio.get_running_loop().create_future()
        self._wake()
        return item.extra

    async def request(self, payload, timeout=None):
        """Ask. Return the kind of the answer (or of the end without one) and its payload."""
        item = self.session.request(payload)
        item.extra = asyncio.get_running_loop().create_future()
        self._wake()
        try:
            return await asyncio.wait_for(item.extra, timeout)
        finally:
            self.session.cancel(item)
            self._wake()

    def volatile(self, payload):
        sent = self.session.volatile(payload)
        self._wake()
        return sent

    async def receive(self):
        """The next message. The one before counts as handled now. None: the session is over."""
        if self.current:
            self.session.handle(self.current)
            self.current = None
            self._wake()
        while not self.session.inbox:
            if self.session.state == "over" or self.failure:
                return None
            self.something.clear()
            await self.something.wait()
        self.current = self.session.take()
        return self.current.payload

    async def close(self, timeout=5.0):
        """Send what waits, until everything is handled or the time is over, and end the session."""
        if self.current:
            self.session.handle(self.current)
            self.current = None
        deadline = time.monotonic() + timeout
        while not (self.session.idle() and self.session.state == "open") and self.session.state != "over":
            left = deadline - time.monotonic()
            if left <= 0 or self.failure:
                break
            self.something.clear()
            try:
                await asyncio.wait_for(self.something.wait(), min(left, 0.1))
            except TimeoutError:
                pass
        self.session.finish()
        self._wake()
        await asyncio.wait([self.task], timeout=max(1.0, deadline - time.monotonic()))

    def cut(self):
        """Lose the connection on purpose."""
        if self.socket:
            self.own_cut = True
            self.socket.transport.abort()

    # ---- inside ----

    def _wake(self):
        """Send the first thing of a turn at once, and the rest when the turn is over."""
        if not self.turn:
            self.turn = True
            self.session.pump()
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._after()

    def _end_turn(self):
        self.turn = False
        self.session.pump()
        self._after()

    def _after(self):
        if self.session.out:
            self.outgoing.set()
        while self.session.events:
            self._event(self.session.events.popleft())
        self.something.set()

    def _event(self, event):
        what = event[0]
        if what == "end" and event[1].extra and not event[1].extra.done():
            event[1].extra.set_result(event[2])
        elif what == "answer" and event[1].extra and not event[1].extra.done():
            event[1].extra.set_result(event[2:])
        elif what == "request":
            arrived = event[1]
            task = asyncio.create_task(self._answer(arrived))
            self.handlers[arrived.epoch, arrived.number] = task
            task.add_done_callback(lambda _: self.handlers.pop((arrived.epoch, arrived.number), None))
        elif what == "cancelled" and event[1] in self.handlers:
            self.handlers[event[1]].cancel()
        elif what == "control" and event[1].startswith("~reconnect"):
            self.window = window_of(event[1])
        elif what == "control" and event[1].startswith("~beat"):
            if 5000 <= int(event[1][6:]) <= 120000:
                self.beat = int(event[1][6:]) / 1000
        if self.on_event:
            self.on_event(event)

    async def _answer(self, arrived):
        try:
            if self.on_request is None:
                kind, payload = "refused", "handler"
            else:
                kind, payload = await self.on_request(arrived.payload)
        except asyncio.CancelledError:
            kind, payload = "refused", "cancelled"
        except Exception:
            kind, payload = "refused", "failed"
        self.session.answer(arrived, kind, payload)
        self._wake()

    async def _run(self):
        try:
            await self._connections()
        except NoSession as problem:
            self.failure = problem
            self.session.give_up("no session")
        self._after()

    async def _connections(self):
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus, NegotiationError
        losses = 0
        while self.session.state != "over":
            code, reason = 1006, ""
            try:
                limit = max(self.session.limits["message"], BATCH_BYTES) * 6 + 4096
                socket = await connect(self.url, subprotocols=self.names or None, compression=None, max_size=limit,
                                       ping_interval=None, open_timeout=self.connect_timeout, close_timeout=2)
            except NegotiationError:
                raise NoSession() from None
            except (OSError, TimeoutError, EOFError, InvalidHandshake) as problem:
                refused = isinstance(problem, InvalidStatus) and problem.response.status_code == 400
                if not self.demand and self.names == ["steady~2"] and not self.session.welcome:
                    self.names = []
                    continue
                if refused and not self.session.welcome:
                    raise NoSession() from None
            else:
                if not (socket.subprotocol or "").endswith("~2"):
                    if self.session.welcome or self.demand:
                        await socket.close()
                        raise NoSession()
                    raise NoSession(socket)
                code, reason = await self._connection(socket)
            came = self.session.state in ("open", "closed")
            again = self.session.disconnect(code)
            self._after()
            if not again:
                return
            losses = 0 if came else losses + 1
            await asyncio.sleep(self._delay(code, reason, losses))

    def _delay(self, code, reason, losses):
        """How long to wait before coming back."""
        low, high = self.retry
        backoff = min(high, low * 2 ** min(losses, 20)) * random.uniform(0.5, 1)
        window, self.window = window_of(reason) or self.window, None
        if window is None and code in (1012, 1013):
            window = (5.0, 30.0)
        own, self.own_cut = self.own_cut, False
        if window is None and not own and code in (1001, 1006) and self.session.welcome and self.session.welcome["return"]:
            window = tuple(bound / 1000 for bound in self.session.welcome["return"])
        return max(backoff if losses > 1 else 0, min(60.0, random.uniform(*window))) if window else backoff

    async def _connection(self, socket):
        """One connection, from the hello to its end. Return its code and reason."""
        from websockets.exceptions import ConnectionClosed
        self.socket, self.beat = socket, None
        self.session.connect()
        self._after()
        writer = asyncio.create_task(self._write(socket))
        ticker = asyncio.create_task(self._tick(socket))
        try:
            while True:
                wire = await socket.recv()
                self.heard = time.monotonic()
                self.session.receive(wire)
                self._after()
        except ConnectionClosed:
            pass
        finally:
            self.socket = None
            for task in (writer, ticker):
                task.cancel()
            await asyncio.gather(writer, ticker, return_exceptions=True)
        # Only a Close of the server says something about the server; an echo of ours does not.
        close = socket.protocol.close_rcvd
        theirs = close and (socket.protocol.close_rcvd_then_sent or socket.protocol.close_sent is None)
        return (close.code, close.reason) if theirs else (1006, "")

    async def _write(self, socket):
        from websockets.exceptions import ConnectionClosed
        first = True
        while True:
            self.outgoing.clear()
            while self.session.out:
                wire = self.session.out.popleft()
                try:
                    if isinstance(wire, Close):
                        await socket.close(wire.code, wire.reason.encode()[:120].decode(errors="ignore"))
                        return
                    await socket.send(wire)
                    if first and self.on_event:
                        self.on_event(("hello",))
                    first = False
                except ConnectionClosed:
                    return
            await self.outgoing.wait()

    async def _tick(self, socket):
        """Acknowledge in time, and notice a server that is late or silent."""
        self.heard = began = time.monotonic()
        asked = False
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            self.session.tick()
            if self.session.state == "hello" and now - began > self.connect_timeout:
                self.session._close(3473, "no welcome in time")
            beat = self.beat or self.session.state == "open" and (self.session.welcome["beat"] or 0) / 1000
            if beat and now - self.heard > beat + self.grace:
                socket.transport.abort()
            elif beat and now - self.heard > beat and not asked:
                self.session.ping()
            asked = bool(beat and now - self.heard > beat)
            self._after()
