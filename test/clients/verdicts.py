# SPDX-License-Identifier: MIT
"""What works with which client. The suites compare it with what they see; docs/CLIENTS.md is made of it.

    python3 test/clients/verdicts.py > docs/CLIENTS.md
"""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "verdicts.json")
WORKS, REFUSED, ABSENT, OTHER = "works", "refused", "absent", "differs"
SIGNS = {WORKS: "yes", REFUSED: "501", ABSENT: "–", OTHER: "no"}

HEAD = """# Clients

What works with AIStore's own clients, unmodified. `make test-clients` plays each row with each client, and `test/tidy` compares this page with the suite
(`test/clients/verdicts.py` makes it from `test/clients/verdicts.json`). The Python packages come from PyPI, with fixed versions.

- **yes**: the suite plays it, and the client gets what its own documentation promises.
- **501**: the node refuses it, in words; [PROTOCOL.md](PROTOCOL.md) has the reasons.
- **–**: this client has no such method.
- **no**: the client does not understand the answer; the last section says why.

The loaders of `aistore.pytorch` need torch and are not played. A loader with 16 processes, and webdataset without torch, read transformed buckets.
"""
TAIL = """
## What differs

- `Cluster.get_performance` of aistore 1.9.2 expects the file system of a mountpath as a text. AIStore 5.0 answers an object, which later clients and the `ais` command read; so does this node.
- The `ais` command and the Go client are played by hand only, because they are not packaged.
"""


def load():
    with open(FILE, encoding="utf-8") as file:
        return json.load(file)


def page():
    known = load()
    clients = []
    for features in known.values():
        for verdicts in features.values():
            clients += [name for name in verdicts if name not in clients]
    text = HEAD
    for section, features in known.items():
        used = [name for name in clients if any(name in verdicts for verdicts in features.values())]
        text += f"\n## {section}\n\n| | " + " | ".join(used) + " |\n|---" + "|---" * len(used) + "|\n"
        for feature, verdicts in features.items():
            text += f"| {feature} | " + " | ".join(SIGNS[verdicts[name]] if name in verdicts else "" for name in used) + " |\n"
    return text + TAIL


def cases(client, rows, absent=()):
    """For harness.run: each of [(section, feature, function)] must end as verdicts.json says. UPDATE=1 writes what it sees instead.
    `absent`: errors that mean that the client has no such method."""
    known = load() if os.path.exists(FILE) else {}
    update = os.environ.get("UPDATE") == "1"

    def see(function):
        try:
            function()
        except absent as error:
            if not isinstance(error, TypeError) or "unexpected keyword" in str(error):
                return ABSENT, error
            return OTHER, error
        except Exception as error:  # noqa: whatever a client makes of an answer
            return (REFUSED if "501" in str(error) else OTHER), error
        return WORKS, None

    def play(section, feature, function):
        def case():
            wanted = known.get(section, {}).get(feature, {}).get(client, WORKS)
            seen, error = see(function)
            if update:
                latest = load() if os.path.exists(FILE) else {}
                latest.setdefault(section, {}).setdefault(feature, {})[client] = seen
                with open(FILE, "w", encoding="utf-8") as file:
                    json.dump(latest, file, indent=1, ensure_ascii=False)
                    file.write("\n")
                print(f"# {seen} {error or ''}"[:300].replace("\n", " "))
            elif seen != wanted:
                raise AssertionError(f"{client}: it was {wanted!r} and is {seen!r} now (UPDATE=1 writes that down): {error}") from error
        return f"{section}: {feature}", case
    return [play(*row) for row in rows]


if __name__ == "__main__":
    print(page(), end="")
