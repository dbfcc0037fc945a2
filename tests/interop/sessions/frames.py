"""The frames of the session protocol: from the wire to dictionaries, and back.

A frame is a dictionary with a `kind`. The other keys are those of the test vectors. Payloads are `str` or `bytes`.
"""

import json
import re

MAX = 2**53 - 1
SECRET = re.compile(r"[A-Za-z0-9_-]{22,86}")
CREDENTIAL = re.compile(r"[!-~]{1,4096}")
CONTROL = re.compile(r"~(beat [0-9]{1,10}|ping( [0-9]{1,10})?|pong [0-9]{1,10}|reconnect [0-9]{1,10}-[0-9]{1,10})")
WHITE = " \t\n\r"
LOST = ("expired", "unknown", "full", "refused", "out-of-step")
REFUSED = ("handler", "limit", "cancelled", "failed", "other")
DIGITS = f"takes 1 to 16 decimal digits, from 0 to {MAX}, without a leading zero"
ARRAY = "it takes an array of one element or more"
LENGTHS = "each message takes its length in 1 to 5 bytes (LEB128), and then so many bytes"

# word: (kind, number fields, has a payload). A field in `FROM_ONE` may not be 0.
SIMPLE = {
    "a": ("ack", ("handled", "sent"), False),
    "skip": ("skip", ("count",), False),
    "q": ("request", (), True),
    "r": ("response", ("request", "handled"), True),
    "e": ("error", ("request", "handled"), True),
    "x": ("refused", ("request", "handled"), True),
    "c": ("cancel", ("request",), False),
    "d": ("awaited-message", (), True),
    "v": ("volatile", (), True),
    "g": ("got", ("number",), False),
    "w": ("awaited", ("number",), False),
    "stalled": ("stalled", ("number",), False),
    "credential": ("credential", (), True),
}
FROM_ONE = {"count", "request", "number", "first", "attempt"}
WORD = {kind: word for word, (kind, _, _) in SIMPLE.items()}


class Malformed(Exception):
    """A frame with a known word that is not as specified."""

    def __init__(self, word, why):
        super().__init__(f"a frame of the kind `{word}` is malformed: {why}")
        self.word = word


def size(payload):
    """The bytes of a payload as the windows count them."""
    return len(payload.encode()) if isinstance(payload, str) else len(payload)


# ---- reading ----

def decode(wire):
    """Read one WebSocket message. Raise `Malformed` if it breaks the rules."""
    text = isinstance(wire, str)
    mark = "~" if text else b"\xc1"
    if not wire.startswith(mark):
        return {"kind": "message", "payload": wire}
    body = wire[1:]
    if body.startswith(mark):
        return {"kind": "message", "payload": body}
    if text and CONTROL.fullmatch(wire):
        return {"kind": "control", "text": wire}
    word, space, rest = body.partition(" " if text else b" ")
    if not text:
        word = word.decode("latin-1")
    if word in ("b", "B", "s", "S"):
        return decode_batch(word, space + rest)
    if word in ("hello", "welcome", "end"):
        return decode_named(word, space + rest)
    if word in SIMPLE:
        return decode_simple(word, space + rest)
    return {"kind": "unknown"}


def number(word, name, value):
    """Read one number; `name` is for the error."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", value) or int(value) > MAX:
        raise Malformed(word, f"`{name}` {DIGITS}")
    if int(value) == 0 and name in FROM_ONE:
        raise Malformed(word, f"`{name}` is 0; it counts from 1")
    return int(value)


def field(rest):
    """Split ` FIELD…` into the field and what follows. No space means an empty field."""
    space = " " if isinstance(rest, str) else b" "
    if not rest.startswith(space):
        return rest[:0], rest
    end = rest.find(space, 1)
    return (rest[1:], rest[:0]) if end < 0 else (rest[1:end], rest[end:])


def decode_simple(word, rest):
    kind, names, has_payload = SIMPLE[word]
    frame = {"kind": kind}
    for name in names:
        value, rest = field(rest)
        frame[name] = number(word, name, value)
    if not has_payload:
        if rest:
            raise Malformed(word, "something follows its last field")
        return frame
    if not rest:
        raise Malformed(word, "`payload` is missing")
    payload = rest[1:]
    if word == "x":
        text = payload if isinstance(payload, str) else payload.decode("latin-1")
        frame["why"] = text if text in REFUSED else "other"
    elif word == "credential":
        text = payload if isinstance(payload, str) else payload.decode("latin-1")
        if not CREDENTIAL.fullmatch(text):
            raise Malformed(word, "`credential` takes 1 to 4096 printable ASCII characters, without a space")
        frame["value"] = text
    else:
        frame["payload"] = payload
    return frame


def decode_batch(word, rest):
    text = isinstance(rest, str)
    if not text and word in "sS":
        raise Malformed(word, ARRAY)
    names = ("first", "handled") if word in "BS" else ("first",)
    array = ""
    if text:
        rest, bracket, array = rest.partition("[")
        array = bracket + array
    values = {"handled": None}
    for name in names:
        value, rest = field(rest)
        values[name] = number(word, name, value)
    if text:
        if rest:
            raise Malformed(word, ARRAY)
        messages = split_array(array)
        if not messages:
            raise Malformed(word, ARRAY)
        if word in "sS":
            messages = [json_string(word, message) for message in messages]
    else:
        if not rest:
            raise Malformed(word, "`payload` is missing")
        messages = split_lengths(word, rest[1:])
    if values["first"] + len(messages) - 1 > MAX:
        raise Malformed(word, f"its numbers go beyond {MAX}")
    return {"kind": "batch", "first": values["first"], "handled": values["handled"], "messages": messages}


def split_array(array):
    """Split `[…]` at its outermost commas. Return None if that is no array of one element or more."""
    parts, depth, in_string, start, skip = [], 0, False, 1, False
    for place, letter in enumerate(array):
        if skip:
            skip = False
        elif in_string:
            skip = letter == "\\"
            in_string = letter != '"'
        elif letter == '"':
            in_string = True
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
            if depth == 0:
                parts.append(array[start:place].strip(WHITE))
                whole = letter == "]" and place == len(array) - 1
                return parts if whole and all(parts) else None
        elif letter == "," and depth == 1:
            parts.append(array[start:place].strip(WHITE))
            start = place + 1
    return None


def json_string(word, element):
    try:
        value = json.loads(element)
        assert isinstance(value, str)
        value.encode()
        return value
    except (ValueError, AssertionError, RecursionError):
        raise Malformed(word, "each element has to be a JSON string") from None


def split_lengths(word, data):
    messages, place = [], 0
    while place < len(data):
        length = 0
        for index in range(5):
            if place >= len(data):
                raise Malformed(word, LENGTHS)
            byte = data[place]
            place += 1
            length |= (byte & 127) << (7 * index)
            if byte < 128:
                if byte == 0 and index > 0:
                    raise Malformed(word, LENGTHS)
                break
        else:
            raise Malformed(word, LENGTHS)
        if place + length > len(data):
            raise Malformed(word, LENGTHS)
        messages.append(data[place:place + length])
        place += length
    if not messages:
        raise Malformed(word, ARRAY)
    return messages


def decode_named(word, rest):
    try:
        text = rest if isinstance(rest, str) else rest.decode("ascii")
        text.encode("ascii")
    except UnicodeError:
        raise Malformed(word, "its head has to be ASCII") from None
    fields = {}
    for part in text[1:].split(" ") if text else []:
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise Malformed(word, "a field is not like `name=value`")
        if name in fields:
            raise Malformed(word, f"`{name}` is there twice; it takes one")
        fields[name] = value

    def need(name):
        if name not in fields:
            raise Malformed(word, f"`{name}` is missing")
        return fields[name]

    def count(name):
        return number(word, name, need(name))

    def counts(*names):
        return {name: count(name) for name in names}

    def verdict():
        handled = count("was-handled")
        also = ranges(word, fields["was-also"], handled) if "was-also" in fields else []
        return {"handled": handled, "also": also, "given": count("was-given"), "received": count("was-received")}

    if word == "end":
        return {"kind": "end", "sent": count("sent"), "verdict": verdict()}
    if word == "hello":
        if not SECRET.fullmatch(need("secret")):
            raise Malformed(word, "`secret` takes 22 to 86 letters of base64url")
        credential = fields.get("credential")
        if credential is not None and not CREDENTIAL.fullmatch(credential):
            raise Malformed(word, "`credential` takes 1 to 4096 printable ASCII characters, without a space")
        return {"kind": "hello", "secret": fields["secret"], "credential": credential,
                "limits": counts("messages", "bytes", "message", "requests"),
                **counts("attempt", "epoch", "received", "handled", "first", "sent", "age")}
    outcome = need("outcome")
    if outcome == "replayed":
        outcome = {"replayed": count("replay")}
    elif outcome == "lost":
        why = need("why")
        told = any(name in fields for name in ("was-handled", "was-also", "was-given", "was-received"))
        outcome = {"lost": why if why in LOST else "other", "verdict": verdict() if told else None}
    elif outcome not in ("fresh", "continued"):
        raise Malformed(word, "`outcome` has a value that is not allowed")
    back = None
    if "return" in fields:
        low, dash, high = fields["return"].partition("-")
        back = [number(word, "return", low), number(word, "return", high)]
        if back[0] > back[1]:
            raise Malformed(word, "`return` falls")
    return {"kind": "welcome", "outcome": outcome, "return": back,
            "beat": count("beat") if "beat" in fields else None,
            "limits": counts("messages", "bytes", "message", "requests"),
            **counts("epoch", "owner", "received", "handled", "first", "sent", "window")}


def ranges(word, text, handled):
    """Read `14,16-17`: rising, beyond `handled`."""
    wrong = Malformed(word, "`was-also` takes rising numbers and ranges such as `14,16-17`, beyond `was-handled`")
    result, last = [], handled
    for part in text.split(","):
        low, dash, high = part.partition("-")
        try:
            low = number(word, "was-also", low)
            high = number(word, "was-also", high) if dash else low
        except Malformed:
            raise wrong from None
        if low <= last or high < low:
            raise wrong
        result.append([low, high])
        last = high
    return result


# ---- writing ----

def encode(frame, binary=False, texts=False):
    """Write a frame. `binary` is the kind of frames without a payload; `texts` asks for `s` in a batch of texts."""
    kind = frame["kind"]
    if kind == "message":
        payload = frame["payload"]
        mark = "~" if isinstance(payload, str) else b"\xc1"
        return mark + payload if payload.startswith(mark) else payload
    if kind == "control":
        return frame["text"]
    if kind == "batch":
        return encode_batch(frame, texts)
    if kind in ("hello", "welcome", "end"):
        return envelope(encode_named(frame), binary)
    word = WORD[kind]
    head = " ".join([word] + [str(frame[name]) for name in SIMPLE[word][1]])
    if kind == "refused":
        return envelope(f"{head} {frame['why']}", binary)
    if kind == "credential":
        return envelope(f"{head} {frame['value']}", binary)
    if "payload" not in frame:
        return envelope(head, binary)
    payload = frame["payload"]
    if isinstance(payload, str):
        return f"~{head} {payload}"
    return b"\xc1" + head.encode() + b" " + payload


def envelope(head, binary):
    return b"\xc1" + head.encode() if binary else "~" + head


def encode_batch(frame, texts):
    messages, handled = frame["messages"], frame["handled"]
    numbers = f"{frame['first']}" if handled is None else f"{frame['first']} {handled}"
    if isinstance(messages[0], bytes):
        word = b"b" if handled is None else b"B"
        return b"\xc1" + word + b" " + numbers.encode() + b" " + b"".join(leb128(len(m)) + m for m in messages)
    texts = texts or not all(split_array(f"[{message}]") == [message] for message in messages)
    word = ("s" if texts else "b") if handled is None else ("S" if texts else "B")
    elements = [json.dumps(m, ensure_ascii=False) for m in messages] if texts else messages
    return f"~{word} {numbers}[{','.join(elements)}]"


def leb128(length):
    result = bytearray()
    while length > 127:
        result.append(length & 127 | 128)
        length >>= 7
    result.append(length)
    return bytes(result)


def encode_named(frame):
    kind = frame["kind"]
    parts = [kind]

    def put(*names):
        parts.extend(f"{name}={frame[name]}" for name in names)

    def put_limits():
        parts.extend(f"{name}={frame['limits'][name]}" for name in ("messages", "bytes", "message", "requests"))

    def put_verdict(verdict):
        parts.append(f"was-handled={verdict['handled']}")
        if verdict["also"]:
            also = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in verdict["also"])
            parts.append(f"was-also={also}")
        parts.extend([f"was-given={verdict['given']}", f"was-received={verdict['received']}"])

    if kind == "end":
        put("sent")
        put_verdict(frame["verdict"])
    elif kind == "hello":
        put("secret", "attempt", "epoch", "received", "handled", "first", "sent")
        put_limits()
        put("age")
        if frame["credential"] is not None:
            put("credential")
    else:
        outcome = frame["outcome"]
        if isinstance(outcome, str):
            parts.append(f"outcome={outcome}")
        elif "replayed" in outcome:
            parts.append(f"outcome=replayed replay={outcome['replayed']}")
        else:
            parts.append(f"outcome=lost why={outcome['lost']}")
            if outcome["verdict"]:
                put_verdict(outcome["verdict"])
        put("epoch", "owner", "received", "handled", "first", "sent")
        put_limits()
        put("window")
        if frame["beat"] is not None:
            put("beat")
        if frame["return"] is not None:
            parts.append(f"return={frame['return'][0]}-{frame['return'][1]}")
    return " ".join(parts)
