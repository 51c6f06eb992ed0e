#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What can rot unseen: layer arrows, banned calls, layout, sizes, headers, stale pages, texts that do not belong in the repository. TAP."""
import concurrent.futures
import filecmp
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = os.path.join(os.environ.get("ETLNODE_BUILD", os.path.join(ROOT, "build")), "src/etlnode/etlnode-pages")
CODE = (".cc", ".h")


def files(*folders, endings=CODE):
    for folder in folders:
        for path, _, names in os.walk(os.path.join(ROOT, folder)):
            if "__pycache__" in path:
                continue
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(path, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def layers():
    allowed = {}
    for line in read("src/layers.txt").splitlines():
        if line and not line.startswith("#"):
            name, _, rest = line.partition(":")
            allowed[name] = set(rest.split()) | {name, "node"}
    return allowed


def folder_of(path, known):
    """The innermost folder of that file, as named below src/, that stands in src/layers.txt."""
    folder = os.path.dirname(path)
    while folder and folder not in known:
        folder = os.path.dirname(folder)
    return folder


def check_layers():
    allowed = layers()
    for path in files("src"):
        folder = folder_of(path.split("/", 1)[1], allowed)
        if not folder:
            yield f"{path}: its folder is not in src/layers.txt"
            continue
        for include in re.findall(r'#include "([^"]+)"', read(path)):
            other = "node" if include.startswith("node/") else folder_of(include, allowed)
            if other not in allowed[folder]:
                yield f"{path}: includes {include}, which {folder} may not know"


def check_uv_is_hidden():
    for path in files("src"):
        if path.split("/")[1] not in ("uv", "kubectl_local") and re.search(r"#include [<\"]uv\.h", read(path)):
            yield f"{path}: only src/uv includes uv.h"


BANNED = {
    r"\btime\(": "time", r"\bclock_gettime\(": "clock", r"\buv_now\(": "clock", r"\brand\(": "randomness", r"\bgetenv\(": "environment",
    r"#include <random>": "randomness", r"#include <chrono>": "clock", r"std::chrono": "clock", r"std::random_device": "randomness",
    r"#include <iostream>": "iostreams", r"\bsprintf\(": "unbounded text", r"\bstrcpy\(": "unbounded text", r"\bsystem\(": "shell",
    r"std::shared_ptr": "shared ownership", r"std::function": "hidden allocation", r"\bthrow\b": "exceptions", r"\bvirtual\b": "inheritance",
}
FREE = ("uv", "etlnode", "etlctl", "kubectl_local")


def check_banned():
    for path in files("src"):
        if path.split("/")[1] in FREE:
            continue
        text = without_comments(read(path))
        for pattern, why in BANNED.items():
            for found in re.finditer(pattern, text):
                line = text[: found.start()].count("\n") + 1
                yield f"{path}:{line}: {found.group(0)!r} is banned here ({why})"


def check_headers():
    for path in files("src", "include", "test", endings=CODE + (".py", ".sh", ".def")):
        head = read(path)[:400]
        if "SPDX-License-Identifier: MIT" not in head:
            yield f"{path}: no SPDX line"
        if path.startswith(("src/", "include/")) and path.endswith(CODE):
            second = head.split("\n")[1]
            name = path.split("/", 1)[1]
            if not second.startswith("// " + name + ":"):
                yield f"{path}: the second line should say what it is: // {name}: ..."
        if path.endswith(".h") and "#pragma once" not in read(path):
            yield f"{path}: no #pragma once"


def check_tests_are_alive():
    for path in files("test"):
        for number, line in enumerate(read(path).splitlines(), 1):
            if re.match(r"\s*//\s*(test_\w+\(|assert_\w+\(|cmocka_unit_test)", line):
                yield f"{path}:{number}: commented-out test code"


def all_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return listed.stdout.split()
    return [name for name in os.listdir(ROOT) if name.endswith(".md")] + list(files("src", "include", "test", "docs", "manifests", endings=("",)))


def check_words():
    for path in all_files():
        if not os.path.isfile(os.path.join(ROOT, path)) or path == "test/tidy/tidy.py":
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        for found in re.finditer(re.escape(ROOT) + r"\b|\bTODO\b|\bFIXME\b|\bXXX\b(?!X)", text):
            yield f"{path}:{text[: found.start()].count(chr(10)) + 1}: {found.group(0)!r}"


def check_generated_pages():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([PAGES, folder], check=True, timeout=60)
        for path, _, names in os.walk(folder):
            for name in names:
                fresh = os.path.join(path, name)
                relative = os.path.relpath(fresh, folder)
                kept = os.path.join(ROOT, "docs", relative)
                if not os.path.exists(kept) or not filecmp.cmp(fresh, kept, shallow=False):
                    yield f"docs/{relative} is stale: run make docs"
    fresh = subprocess.run([sys.executable, "test/clients/verdicts.py"], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True).stdout
    if fresh != read("docs/CLIENTS.md"):
        yield "docs/CLIENTS.md is stale: python3 test/clients/verdicts.py > docs/CLIENTS.md"
    played = re.findall(r'^ +\("([^"]+)", "([^"]+)", \w+\),$', read("test/clients/test_day.py") + read("test/clients/test_webdataset.py"), flags=re.M)
    known = [(section, feature) for section, features in json.loads(read("test/clients/verdicts.json")).items() for feature in features]
    for row in set(played) ^ set(known):
        yield f"test/clients/verdicts.json and the suites differ in {row}: make test-clients UPDATE=1"


def check_failpoints():
    """docs/RELIABILITY.md lists every fault of the simulator, and no other."""
    known = {f"{area}.{name}" for area, name in re.findall(r"^FAULT\((\w+), (\w+),", read("test/sim/faults.def"), flags=re.M)}
    section = read("docs/RELIABILITY.md").split("## Failpoints")[1].split("\n## ")[0]
    listed = set(re.findall(r"`([a-z]+\.[a-z_]+)`", section)) - {"faults.def"}
    for name in sorted(known - listed):
        yield f"docs/RELIABILITY.md does not list {name}"
    for name in sorted(listed - known):
        yield f"docs/RELIABILITY.md lists {name}, which does not exist"


def rows_asked_for(path):
    """The body of the case every_row_is_taken of that unit test; None when there is no such case, or it is not run."""
    text = read(path) if os.path.exists(os.path.join(ROOT, path)) else ""
    found = re.search(r"^static void every_row_is_taken\(void \*\*\w*\)\s*(?:\{([^\n]*)\}|\{\n(.*?)^\})$", text, flags=re.M | re.S)
    is_run = re.search(r"cmocka_unit_test\w*\(every_row_is_taken\b", text)
    return (found.group(1) or found.group(2)) if found and is_run else None


def table_rows(machine):
    """The rows of that machine's table, named as the simulator names them."""
    path = f"docs/machines/{machine}.md"
    text = read(path) if os.path.exists(os.path.join(ROOT, path)) else ""
    for start, event, guard, end in re.findall(r"^\| \d+ \| (\w+) \| (\w+) \| (\w+) \| [^|]* \| (\w+) \|$", text, flags=re.M):
        yield f"{machine}: {start} --{event}" + ("" if guard == "always" else f"[{guard}]") + f"--> {end}"


def check_untaken_rows():
    """A row that the simulator need not take exists, and names the unit test that takes it: its case every_row_is_taken asks for that machine."""
    rows = {}
    for number, line in enumerate(read("test/sim/untaken.txt").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        where = f"test/sim/untaken.txt:{number}"
        machine = line.split(":")[0]
        named = re.fullmatch(r"([^|]+) \| .+; (test/unit/\S+\.cc)", line)
        if not named:
            yield f"{where}: expected row | why; test/unit/FOLDER/FILE.cc"
            continue
        row, path = named.groups()
        if row not in rows.setdefault(machine, set(table_rows(machine))):
            yield f"{where}: there is no such row"
        body = rows_asked_for(path)
        is_of_machine = os.path.basename(path) in (f"test_{machine}.cc", f"test_{machine}_machine.cc")
        if body is None or not re.search(r"check_rows_taken\(|->row_taken\[", body) or not (is_of_machine or f"{machine}_machine_view()" in body):
            yield f"{where}: {path} has no case every_row_is_taken that asks for every row of {machine}"


def pages():
    """Every page that people write, without its blocks of code. Generated pages are checked by check_generated_pages."""
    for path in all_files():
        is_page = path.endswith((".md", ".1")) and not path.startswith(("test/", "docs/machines/")) and path != "docs/ROUTES.md"
        if is_page and os.path.isfile(os.path.join(ROOT, path)):
            yield path, re.sub(r"^ *```.*?^ *```", "", read(path), flags=re.S | re.M)


def names_a_file(token, page):
    """Whether there is such a file or folder: from the top, from src/, from the page's folder; a module without its ending; a test by meson's name."""
    folder, name = os.path.split(re.sub(r"_(simulated|copying)$", "", token.rstrip("/")))
    whole = os.path.join(folder, name)
    tests = [f"{folder}/test_{name}.py", f"{folder}/test_{name}.cc", f"unit/{folder}/test_{name}.cc", f"{folder}/fuzz_{name}.cc"]
    places = [whole, f"src/{whole}", f"src/{whole}.cc", f"src/{whole}.h", os.path.join(os.path.dirname(page), whole)] + [f"test/{test}" for test in tests]
    return any(glob.glob(os.path.join(ROOT, re.sub(r"<\w+>|NNNN", "*", place))) for place in places)


def check_pages_name_files():
    tops = {"src", "test", "docs", "include"} | {name for folder in ("src", "test") for name in os.listdir(os.path.join(ROOT, folder)) if "." not in name}
    tops -= {"etlnode"}  # the prefix of our labels and annotations
    tops |= {"app", "cli", "local", "cluster"}  # folders of earlier layouts: a page that names one is stale
    for page, text in pages():
        for token in re.findall(r"`([\w./*<>-]+)`", text):
            if "/" in token and (token.split("/")[0] in tops or token.endswith((".cc", ".h", ".py", ".def"))) and not names_a_file(token, page):
                yield f"{page} names {token}, which does not exist"


def check_pages_link_to_pages():
    for page, text in pages():
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = link.partition("#")
            if re.match(r"\w+:", link):
                continue
            to = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(os.path.join(ROOT, to)):
                yield f"{page} links to {link}, which does not exist"
                continue
            headings = re.findall(r"^#+ (.*)$", read(to), flags=re.M) if anchor else []
            if anchor and anchor not in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}:
                yield f"{page} links to {link}: no such heading"


def check_sections_exist():
    """A comment or a page that names a section of a page, as in: docs/PROTOCOL.md, "Placement"."""
    for path in all_files():
        if path.startswith("test/fuzz/corpus/") or path == "test/tidy/tidy.py" or not os.path.isfile(os.path.join(ROOT, path)):
            continue
        try:
            text = read(path)
        except UnicodeDecodeError:
            continue
        for page, title in re.findall(r'\b(docs/\w+\.md)\)?,? \\?"([A-Z][^"\\\n]+)\\?"', text):
            headings = re.findall(r"^#+ (.*)$", read(page), flags=re.M) if os.path.isfile(os.path.join(ROOT, page)) else []
            if title not in headings:
                yield f"{path} names {page}, \"{title}\": no such section"


# Of the kernel, of libraries, of other programs; the rules for names; what a decision refused.
FOREIGN = {"io_uring", "uv_poll_t", "tcp_write_xmit", "hrtimer_start", "sk_pacing_status", "arg_type", "module_verb_object", "snake_case", "source_peer"}


def check_pages_name_functions():
    """A back-quoted name with an underscore is a function, a type, a state or a field of this repository."""
    known = set(FOREIGN)
    for path in all_files():
        if path.startswith(("src/", "include/", "test/", "manifests/")) and not path.startswith("test/fuzz/corpus/") and os.path.isfile(os.path.join(ROOT, path)):
            try:
                known |= set(re.findall(r"\w+", read(path)))
            except UnicodeDecodeError:
                continue
    for page, text in pages():
        for token in re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?`", text):
            if token not in known:
                yield f"{page} names {token}, which does not exist"


def check_comments_name_files():
    names = {os.path.basename(path) for path in all_files()}
    for path in files("src", "include", "test"):
        for number, line in enumerate(read(path).splitlines(), 1):
            for name in re.findall(r"\w+\.(?:cc|h|py|def)\b", line.partition("//")[2]):
                if name not in names:
                    yield f"{path}:{number} names {name}, which does not exist"


FORMAT_VERSION = 14  # another one lays the same code out differently


def check_format():
    program = shutil.which(f"clang-format-{FORMAT_VERSION}") or shutil.which("clang-format")
    if program is None:
        yield f"clang-format {FORMAT_VERSION} is missing: sh src/demo/packages.sh test"
        return
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    if f" version {FORMAT_VERSION}." not in said:
        yield f"the layout of the code is that of clang-format {FORMAT_VERSION} (Debian 12's); {program} says: {said.strip()}"
        return
    paths = list(files("src", "include", "test"))
    batches = [paths[i::32] for i in range(32)]

    def run(batch):
        return subprocess.run([program, "--dry-run", "-Werror", *batch], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(run, batches):
            places = re.findall(r"^([^:\s]+):(\d+):\d+: error:", done.stderr, flags=re.M)
            for path, line in {path: line for path, line in reversed(places)}.items():
                yield f"{path}:{line}: run clang-format -i {path}"
            if done.returncode != 0 and not places:
                yield done.stderr.strip()


FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 140


def functions(lines):
    """Line and size of each function, its signature included. clang-format puts a function's braces into the first column, and no other ones."""
    begin = None
    for number, line in enumerate(lines):
        if line == "{":
            begin = number
            while begin > 0 and lines[begin - 1] and not lines[begin - 1].startswith(("//", "#", "}")) and lines[begin - 1][-1] not in ";{":
                begin -= 1
        elif line == "}" and begin is not None:
            yield begin + 1, number - begin + 1
            begin = None


def check_sizes():
    for path in files("src", "include", "test", endings=CODE + (".c", ".py", ".sh")):
        lines = read(path).splitlines()
        if len(lines) > FILE_LINES_MAX:
            yield f"{path}: {len(lines)} lines; more than {FILE_LINES_MAX} are more than one subject"
        for number, size in functions(lines):
            if size > FUNCTION_LINES_MAX and not path.startswith("test/"):
                yield f"{path}:{number}: a function of {size} lines; split it at {FUNCTION_LINES_MAX}"


def can_break(line, is_test):
    """clang-format breaks code where it can, but no comment. What it leaves in a test is a text as it is sent. A long address stays whole, too."""
    if not is_test or line.lstrip().startswith("//"):
        return max(len(word) for word in line.split()) <= COLUMNS_MAX // 2
    return '"' not in line


def check_columns():
    for path in files("src", "include", "test"):
        for number, line in enumerate(read(path).splitlines(), 1):
            if len(line) > COLUMNS_MAX and can_break(line, path.startswith("test/")):
                yield f"{path}:{number}: {len(line)} columns; {COLUMNS_MAX} are the limit"


def check_namespaces():
    for path in files("src"):
        program = path.split("/")[1]
        name = "etlnode::" + program if program in ("etlctl", "kubectl_local") else "etlnode"
        if not re.search(rf"^namespace {name} {{$", read(path), flags=re.M):
            yield f"{path}: nothing in it is in namespace {name}"


def check_types():
    """Two types of one name in one program: the linker keeps one of the two destructors, and says nothing."""
    seen = {}
    for path in files("src", "include"):
        text = read(path)
        name = re.search(r"^namespace ([\w:]+) {$", text, flags=re.M)
        for kind in re.findall(r"^(?:struct|union|enum|enum class) (\w+)(?: : ?[^{;]*)? {", text, flags=re.M):
            other = seen.setdefault((name and name[1], kind), path)
            if other != path:
                yield f"{path}: {kind} is a type of {other}, too"


MODE_RULE = re.compile(r"[=!]= etl_mode::|case etl_mode::|[=!]= \"(?:hpush|hrev|hpull|ws|io)(?:://)?\"")


def check_modes():
    """A mode is a row of src/transfer/modes: what differs from mode to mode is asked of the row."""
    for path in files("src"):
        if path.startswith("src/transfer/modes/"):
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            if MODE_RULE.search(line):
                yield f"{path}:{number}: compares a mode; only src/transfer/modes does"


FLAGS_MAX = 5


def check_flags():
    """The struct of a machine has at most five bools beside its state (docs/decisions/0043-what-follows-a-step.md)."""
    for path in files("src"):
        for name, body in re.findall(r"^struct (\w+)(?: : [\w, ]+)? \{\n(.*?)^\};", without_comments(read(path)), flags=re.S | re.M):
            if not re.search(r"^    sm_core sm;", body, flags=re.M):
                continue
            flags = [flag for line in re.findall(r"^    bool ([^;(]+);", body, flags=re.M) for flag in line.split(",")]
            if len(flags) > FLAGS_MAX:
                yield f"{path}: the machine {name} has {len(flags)} flags: {', '.join(flag.split()[0] for flag in flags)}"


def check_manual():
    """docs/man/etlnode.1 explains every option."""
    manual = read("docs/man/etlnode.1").replace("\\-", "-")
    for name in re.findall(r'^    \{"([a-z-]+)", "', read("src/etlnode/options.cc"), flags=re.M):
        if not re.search(rf"--{name}\b(?!-)", manual):
            yield f"docs/man/etlnode.1 does not have --{name}"


CHECKS = [
    ("layout", check_format),
    ("sizes", check_sizes),
    ("lines fit", check_columns),
    ("namespaces", check_namespaces),
    ("types have names of their own", check_types),
    ("modes are told apart in one folder", check_modes),
    ("layer arrows go down", check_layers),
    ("libuv stays behind the ports", check_uv_is_hidden),
    ("banned calls", check_banned),
    ("file headers", check_headers),
    ("no test is commented out", check_tests_are_alive),
    ("words that do not belong here", check_words),
    ("generated pages are fresh", check_generated_pages),
    ("failpoints are listed", check_failpoints),
    ("rows that the simulator does not take have a test", check_untaken_rows),
    ("machines have few flags", check_flags),
    ("the manual has every option", check_manual),
    ("pages name files that exist", check_pages_name_files),
    ("comments name files that exist", check_comments_name_files),
    ("pages link to pages that exist", check_pages_link_to_pages),
    ("sections that are named exist", check_sections_exist),
    ("pages name functions that exist", check_pages_name_functions),
]

print(f"1..{len(CHECKS)}")
failed = False
for number, (title, check) in enumerate(CHECKS, 1):
    problems = list(check())
    failed = failed or bool(problems)
    print(f"{'not ok' if problems else 'ok'} {number} {title}")
    for problem in problems:
        print("# " + problem)
sys.exit(1 if failed else 0)
