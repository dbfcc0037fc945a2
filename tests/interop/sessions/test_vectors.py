"""Runs every vector of protocol/vectors.json, and every example in the `frames` blocks of docs/sessions-protocol.md."""

import json
import re
import sys
from pathlib import Path

from frames import Malformed, decode, encode

ROOT = Path(__file__).parents[3]


def plain(value):
    """Turn `{"text": …}` and `{"hex": …}` into `str` and `bytes`."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"text"}:
            return value["text"]
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {name: plain(item) for name, item in value.items()}
    return value


def written(frame, wire):
    """Write the frame in the kind of `wire`. A JSON codec writes `b` where it can, a text codec `s`."""
    texts = isinstance(wire, str) and wire[:2] in ("~s", "~S") and frame["kind"] == "batch"
    return encode(frame, binary=isinstance(wire, bytes), texts=texts)


def main():
    vectors = json.loads((ROOT / "protocol/vectors.json").read_text())
    wrong, count = [], 0

    def check(what, got, wanted):
        nonlocal count
        count += 1
        if got != wanted:
            wrong.append(f"{what}\n  got    {got!r}\n  wanted {wanted!r}")

    for vector in vectors["frames"]:
        wire, frame = plain(vector["wire"]), plain(vector["frame"])
        try:
            check(f"read {wire!r}", decode(wire), frame)
            if vector["canonical"]:
                check(f"write {frame!r}", written(frame, wire), wire)
        except Exception as problem:
            check(f"read or write {wire!r}", problem, frame)
    texts_alike = 0
    for vector in vectors["malformed"]:
        wire = plain(vector["wire"])
        try:
            got = decode(wire)
        except Malformed as problem:
            got = problem.word
            texts_alike += str(problem) == vector["because"]
        check(f"malformed {wire!r}", got, vector["kind"])

    blocks = re.findall(r"```frames\n(.*?)```", (ROOT / "docs/sessions-protocol.md").read_text(), re.S)
    examples = 0
    for line in "".join(blocks).splitlines():
        who, wire = re.fullmatch(r"(client|server): (.*)", line).groups()
        if wire.startswith("bytes "):
            wire = bytes.fromhex(wire[6:])
        examples += 1
        try:
            frame = decode(wire)
            check(f"example {line}", written(frame, wire), wire)
            check(f"known: {line}", frame["kind"] not in ("unknown", "control"), True)
        except Malformed as problem:
            check(f"example {line}", problem, "a good frame")

    print("\n".join(wrong))
    print(f"{count - len(wrong)} of {count} checks passed: {len(vectors['frames'])} frames, "
          f"{len(vectors['malformed'])} malformed ({texts_alike} with the same sentence), {examples} examples")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
