"""Sends messages to an echo server, cuts the connection at random moments, and judges what comes back.

Prints one line of JSON for each session. There are as many sessions as it takes for the cuts to have hit what they are for,
up to ten. The exit code is 1 if not every message came back once and in order, 2 for wrong arguments.
"""

import argparse
import asyncio
import json
import random
import sys
import time

from client import Client, NoSession


def arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="such as ws://127.0.0.1:9000/session/echo")
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--kind", choices=("text", "json", "binary"), default="json")
    parser.add_argument("--name", help="the sub-protocol without its suffix; without it the client offers steady~2")
    parser.add_argument("--seed", type=int, default=None, help="for the moments of the cuts")
    parser.add_argument("--early", type=float, default=0.3, help="the share of cuts between hello and welcome")
    parser.add_argument("--replays", type=int, default=20, help="cuts with something to replay, in each direction, at least")
    parser.add_argument("--early-cuts", type=int, default=10, help="cuts between hello and welcome, at least")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a session")
    parser.add_argument("--verbose", action="store_true", help="print what ends connections")
    options = parser.parse_args(arguments)
    if not options.url.startswith(("ws://", "wss://")):
        parser.error("the URL has to begin with ws:// or wss://")
    if options.messages < 1 or options.cuts < 0 or not 0 <= options.early <= 1 or options.timeout <= 0:
        parser.error("messages from 1, cuts from 0, early from 0 to 1, a timeout above 0")
    return options


def make(kind, number, rng):
    """A message that is different from all others, and sometimes begins with a mark."""
    filler = "x" * rng.choice((0, 5, 50, 400))
    if kind == "json":
        return json.dumps({"number": number, "filler": filler}, separators=(",", ":"))
    if kind == "text":
        return rng.choice(("", "~", "~~a 1 2", "[\"")) + f"message {number} {filler}\n"
    return rng.choice((b"", b"\xc1", b"\xc1\xc1", b"~")) + f"{number} {filler}".encode()


async def run(options):
    rng = random.Random(options.seed)
    messages = [make(options.kind, number, rng) for number in range(options.messages)]
    result = {"kind": options.kind, "sent": 0, "handled": 0, "received": 0, "cuts": 0, "cuts_between_hello_and_welcome": 0,
              "cuts_with_replay_to_server": 0, "cuts_with_replay_to_client": 0, "welcomes": {}, "lost": 0, "closings": []}
    state = {"welcomed": False, "early": False, "up": False, "down": False, "after_cut": False}
    opened = asyncio.Event()

    def on_event(event):
        if options.verbose and event[0] in ("closing", "lost", "over", "disconnected"):
            print(event, file=sys.stderr)
        if event[0] == "hello":
            state["early"] = state["welcomed"] and result["cuts"] < options.cuts and rng.random() < options.early
            if not state["welcomed"] and result["cuts"] < options.cuts and rng.random() < 0.5:
                state["early"] = True
            if state["early"]:
                asyncio.get_running_loop().call_later(rng.choice((0, 0, 0.0003, 0.001)), cut_early)
        elif event[0] == "open":
            state["welcomed"] = True
            result["welcomes"][event[1]] = result["welcomes"].get(event[1], 0) + 1
            if state["after_cut"]:
                result["cuts_with_replay_to_server"] += event[2] > 0
                result["cuts_with_replay_to_client"] += event[3] > 0
            state["after_cut"] = False
            opened.set()
        elif event[0] == "lost":
            result["lost"] += 1
        elif event[0] == "closing":
            result["closings"].append(event[1])

    def cut_early():
        if client.session.state == "hello" and client.socket and result["cuts"] < options.cuts:
            result["cuts"] += 1
            result["cuts_between_hello_and_welcome"] += 1
            state["after_cut"] = True
            client.cut()

    async def cutter():
        while result["cuts"] < options.cuts:
            await opened.wait()
            await asyncio.sleep(rng.choice((0, rng.random() * 0.003, rng.random() * 0.02)))
            opened.clear()
            if result["cuts"] >= options.cuts:
                return
            if client.session.state == "open" and client.socket:
                result["cuts"] += 1
                state["after_cut"] = True
                client.cut()
            elif client.session.state == "open":
                opened.set()

    async def sender():
        for number, message in enumerate(messages):
            # Keep some messages for after each cut.
            while number > (result["cuts"] + 1) * options.messages / (options.cuts + 1):
                await asyncio.sleep(0.001)
            while len(client.session.queue) >= 900:
                await asyncio.sleep(0.001)
            ends.append(client.send(message))
            result["sent"] += 1
            if rng.random() < 0.2:
                await asyncio.sleep(rng.random() * 0.002)

    async def receiver():
        while len(received) < len(messages):
            message = await client.receive()
            if message is None:
                return
            received.append(message)

    ends, received = [], []
    began = time.monotonic()
    client = Client(options.url, options.name, options.kind, on_event=on_event, retry=(0.01, 1.0))
    problem = None
    async with client:
        tasks = [asyncio.create_task(part()) for part in (cutter, sender, receiver)]
        try:
            everything = asyncio.gather(*tasks)
            await asyncio.wait({everything, client.task}, timeout=options.timeout, return_when=asyncio.FIRST_COMPLETED)
            if not everything.done():
                everything.cancel()
                await asyncio.gather(everything, return_exceptions=True)
                raise TimeoutError("not everything arrived in time" if not client.task.done() else "the session ended")
            await everything
            await asyncio.sleep(0.02)
            extra = len(client.session.inbox)
            await client.close(5.0)
        except (TimeoutError, NoSession) as error:
            problem, extra = f"{type(error).__name__} {error}".strip(), 0
        except Exception as error:
            problem, extra = f"{type(error).__name__}: {error}", 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if client.failure:
            problem = str(client.failure)
    result["received"] = len(received) + extra
    result["handled"] = sum(end.done() and not end.cancelled() and end.result() == "handled" for end in ends)
    result["once_and_in_order"] = received == messages and extra == 0 and result["handled"] == len(messages)
    result["seconds"] = round(time.monotonic() - began, 2)
    if problem:
        result["problem"] = problem
    return result


def main():
    options = arguments()
    wanted = {"cuts": options.cuts, "cuts_between_hello_and_welcome": options.early_cuts,
              "cuts_with_replay_to_server": options.replays, "cuts_with_replay_to_client": options.replays}
    seen = dict.fromkeys(wanted, 0)
    for _ in range(10):
        result = asyncio.run(run(options))
        print(json.dumps(result), flush=True)
        if not result["once_and_in_order"]:
            return 1
        for name in seen:
            seen[name] += result[name]
        if all(seen[name] >= wanted[name] for name in wanted):
            return 0
    print(f"the cuts did not hit what they are for: {seen}, wanted {wanted}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
