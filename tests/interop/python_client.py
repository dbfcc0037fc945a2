"""Talks to the hello server as a program would that knows nothing of steady-socket.

Usage: python_client.py --url ws://127.0.0.1:8765

The last line says how many checks passed and failed; the exit code is 0 only if none failed.
"""

import argparse
import json
import sys
import traceback

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

# Only keeps a check from hanging; everything here takes milliseconds.
CEILING = 20


class Server:
    def __init__(self, url):
        self.url = url.rstrip("/")

    def open(self, path="/", **options):
        return connect(self.url + path, open_timeout=CEILING, close_timeout=CEILING, **options)

    def ask(self, socket, message):
        socket.send(message)
        return socket.recv(timeout=CEILING)

    def close_of(self, socket):
        """Waits for the server's Close: its code and reason."""
        try:
            message = socket.recv(timeout=CEILING)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection ended with no Close frame"
            return closed.rcvd.code, closed.rcvd.reason
        raise AssertionError(f"a message instead of a Close: {message!r}")

    def refusal(self, path="/", **options):
        """Tries a handshake that must fail: the status and the text of the answer."""
        try:
            self.open(path, **options).close()
        except InvalidStatus as refused:
            return refused.response.status_code, refused.response.body.decode()
        raise AssertionError("the handshake was accepted")


def greets_one_name(server):
    with server.open() as socket:
        assert server.ask(socket, "Ada") == "Hello Ada!"


def greets_as_many_names_as_are_sent(server):
    names = ["Ada", "Grace Hopper", "世界", "👩‍🚀", "x" * 256]
    with server.open() as socket:
        for name in names:
            socket.send(name)
        for name in names:
            assert socket.recv(timeout=CEILING) == f"Hello {name}!"


def greets_a_name_that_comes_in_fragments(server):
    with server.open() as socket:
        socket.send(["A", "d", "a"], text=True)
        assert socket.recv(timeout=CEILING) == "Hello Ada!"


def closes_with_1008_on_invalid_names(server):
    for name, reason in [("", "empty"), ("x" * 257, "at most 256"), ("a\nb", "control character")]:
        with server.open() as socket:
            socket.send(name)
            code, text = server.close_of(socket)
            assert code == 1008 and reason in text, (code, text)


def closes_with_1003_on_binary(server):
    with server.open() as socket:
        socket.send(b"Ada")
        assert server.close_of(socket)[0] == 1003


def closes_with_1009_on_a_message_that_is_too_big(server):
    with server.open("/echo") as socket:
        largest = b"x" * 65536
        assert server.ask(socket, largest) == largest
        socket.send(largest + b"x")
        assert server.close_of(socket)[0] == 1009


def answers_pings(server):
    with server.open() as socket:
        assert socket.ping("payload").wait(CEILING), "no pong came"


def answers_a_close_with_its_code(server):
    with server.open() as socket:
        socket.close(4001, "bye")
        assert (socket.protocol.close_rcvd.code, socket.protocol.close_sent.code) == (4001, 4001)


def echoes_text_as_text_and_bytes_as_bytes(server):
    with server.open("/echo") as socket:
        for message in ["", "text", b"", bytes(range(256))]:
            assert server.ask(socket, message) == message


def agrees_to_no_extension(server):
    with server.open("/echo", compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


def speaks_typed_json(server):
    for subprotocols in [None, ["hello.json"], ["other", "hello.json", "hello.msgpack"]]:
        with server.open("/hello", subprotocols=subprotocols) as socket:
            assert socket.subprotocol == (subprotocols and "hello.json")
            ask = lambda message: json.loads(server.ask(socket, json.dumps(message)))
            greeting = {"type": "greeting", "text": "Hello Ada!"}
            assert ask({"type": "hello", "name": "Ada"}) == greeting
            invalid = {"type": "invalid", "reason": {"problem": "empty"}}
            assert ask({"type": "hello", "name": " "}) == invalid
            assert ask({"type": "nonsense"})["type"] == "malformed"
            assert ask({"type": "hello", "name": "Ada"}) == greeting


def speaks_typed_messagepack(server):
    def text(value):
        # MessagePack's "fixstr", for up to 31 bytes.
        return bytes([0xA0 | len(value)]) + value.encode()

    def table(entries):
        # Its "fixmap", for up to 15 entries.
        return bytes([0x80 | len(entries)]) + b"".join(text(k) + text(v) for k, v in entries.items())

    with server.open("/hello", subprotocols=["hello.msgpack"]) as socket:
        assert socket.subprotocol == "hello.msgpack"
        answer = server.ask(socket, table({"type": "hello", "name": "Ada"}))
        assert answer == table({"type": "greeting", "text": "Hello Ada!"}), answer


def refuses_unknown_subprotocols(server):
    status, text = server.refusal("/hello", subprotocols=["other", "hello.xml"])
    assert status == 400 and "hello.json" in text, (status, text)


def refuses_unknown_paths(server):
    assert server.refusal("/nowhere")[0] == 404


def refuses_pages_of_other_origins(server):
    assert server.refusal(origin="http://evil.example")[0] == 403


CHECKS = [
    greets_one_name,
    greets_as_many_names_as_are_sent,
    greets_a_name_that_comes_in_fragments,
    closes_with_1008_on_invalid_names,
    closes_with_1003_on_binary,
    closes_with_1009_on_a_message_that_is_too_big,
    answers_pings,
    answers_a_close_with_its_code,
    echoes_text_as_text_and_bytes_as_bytes,
    agrees_to_no_extension,
    speaks_typed_json,
    speaks_typed_messagepack,
    refuses_unknown_subprotocols,
    refuses_unknown_paths,
    refuses_pages_of_other_origins,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="the hello server, such as ws://127.0.0.1:8765")
    server = Server(parser.parse_args().url)
    failed = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            check(server)
            print(f"ok: {name}")
        except Exception:
            failed += 1
            print(f"FAILED: {name}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
