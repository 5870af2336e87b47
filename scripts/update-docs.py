#!/usr/bin/env python3
"""Regenerates what the docs repeat of the code: the list of denials, the list of metrics, the help of
the commands and the JSON Schema. With --check it changes nothing and fails where they differ.

The program is $PORTCULLIS, or target/debug/portcullis, built if need be.
"""

import difflib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMANDS = ["run", "check", "explain", "test", "certificates", "keys", "tokens", "schema", "demo", "version"]


def source(path):
    return (ROOT / path).read_text()


def denials():
    """The table of docs/denials.md, from the two enums of core/src/denial.rs."""
    text = source("crates/core/src/denial.rs")
    rows = []
    for name in ["Denial", "Fault"]:
        body = text[text.index(f"impl {name} {{"):]
        facts = {fact: {} for fact in ["status", "code", "title"]}
        for fact in facts:
            block = re.search(rf"pub const fn {fact}\(&self\).*?\n    }}\n", body, re.S).group()
            for arm in re.finditer(r'((?:\|?\s*Self::\w+(?: \{ \.\. \})?\s*)+)=>\s*\{?\s*("[^"]*"|\d+)', block):
                for variant in re.findall(r"Self::(\w+)", arm.group(1)):
                    facts[fact][variant] = arm.group(2).strip('"')
        samples = re.search(r"pub fn samples\(\).*?\n    }\n", body, re.S).group()
        variants = re.findall(r"Self::(\w+)", samples)
        assert set(variants) == set(facts["code"]) == set(facts["status"]) == set(facts["title"]), name
        found = [(facts["code"][v], facts["status"][v], facts["title"][v]) for v in variants]
        rows += [f"| `{code}` | {status} | {title} |" for code, status, title in sorted(found)]
    return "\n".join(["| code | status | title |", "|---|---|---|", *rows])


def metrics():
    """The table of docs/metrics.md, from proxy/src/metrics.rs."""
    text = re.sub(r"\s+", " ", "".join(source(f"crates/proxy/src/metrics{part}.rs").split("#[cfg(test)]")[0] for part in ["", *sorted("/" + path.stem for path in (ROOT / "crates/proxy/src/metrics").glob("*.rs"))]))
    documented = dict(re.findall(r"/// `(gateway_\w+)(?:\{([\w,]+)\})?`\.", text))
    rows = []
    for block in re.split(r"(?=impl \w+Metrics \{)", text)[1:]:
        by = re.search(r'let by = &\["(\w+)"\];', block)
        for name, what, labels in re.findall(r'"(gateway_\w+)", "([^"]+)",? ?(by|&\[[^\]]*\])?', block):
            names = [by.group(1)] if labels == "by" else re.findall(r'"(\w+)"', labels)
            names = names or [label for label in documented[name].split(",") if label]
            rows.append(f"| `{name}` | {', '.join(f'`{label}`' for label in names) or '–'} | {what} |")
    assert len(rows) == len(documented), "a metric was not understood"
    return "\n".join(["| name | labels | what it counts |", "|---|---|---|", *rows])


def later():
    """The list of docs/configuration.md of what this version refuses, from config/src/later.rs."""
    text = source("crates/config/src/later.rs")
    keys = re.findall(r'"([^"]+)"', re.search(r"KEYS: &\[&str\] = &\[(.*?)\];", text, re.S).group(1))
    block = re.search(r"VALUES: [^=]*=\s*&\[(.*?)\n?\];", text, re.S).group(1)
    values = re.findall(r'\("([^"]+)", &\[([^\]]*)\]\)', block)
    values = [(path, name) for path, names in values for name in re.findall(r'"([^"]+)"', names)]
    rows = [*keys, *(f"{path}: {name}" for path, name in values), "{vault: …} as a secret"]
    return "\n".join(f"- `{row}`" for row in sorted(rows))


def advice():
    """The rules of docs/advice.md, as the program tells them."""
    rules = json.loads(output(program(), "check", "--rules", "--format", "json"))
    cell = lambda words: words.replace("|", "\\|")
    rows = [f"| [{one['rule']}](#{one['rule'].lower()}) | {one['severity']} | `{one['name']}` | {cell(one['title'])} |" for one in rules]
    table = "\n".join(["| rule | weighs | name | what it finds |", "|---|---|---|---|", *rows])
    parts = [table]
    for one in rules:
        links = ", ".join(f"[{reference['name']}]({reference['url']})" for reference in one["references"])
        parts.append(
            f"### {one['rule']}\n\n**{one['title']}** (`{one['name']}`, {one['severity']})\n\n"
            f"- Why: {one['why']}.\n- What to do: {one['fix']}.\n- See: {links}."
        )
    return "\n\n".join(parts)


def program():
    if os.environ.get("PORTCULLIS"):
        return os.environ["PORTCULLIS"]
    build = ["cargo", "build", "-q", "--locked", "-p", "portcullis", "--message-format=json"]
    messages = subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.findall(r'"executable":"([^"]+/portcullis)"', messages)[-1]


def output(*arguments):
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    environment.pop("PORTCULLIS_CONFIG", None)
    return subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment).stdout


def commands():
    """The help of every command, as the program prints it."""
    name = program()
    parts = []
    for command in COMMANDS:
        text = "\n".join(line.rstrip() for line in output(name, command, "--help").splitlines())
        parts.append(f"### `portcullis {command}`\n\n```text\n{text.strip()}\n```")
    return "\n\n".join(parts)


def put(check, path, text):
    path = ROOT / path
    old = path.read_text() if path.exists() else ""
    if text == old:
        return True
    if check:
        lines = difflib.unified_diff(old.splitlines(), text.splitlines(), str(path), "generated", lineterm="")
        print("\n".join(lines), file=sys.stderr)
    else:
        path.write_text(text)
    return False


def between_markers(path, name, block):
    text = source(path)
    begin, end = f"<!-- begin generated: {name} -->\n", f"<!-- end generated: {name} -->"
    head, rest = text.split(begin)
    return head + begin + block + "\n" + end + rest.split(end)[1]


def main():
    check = "--check" in sys.argv[1:]
    same = [
        put(check, path, between_markers(path, name, make()))
        for path, name, make in [
            ("docs/denials.md", "denials", denials),
            ("docs/metrics.md", "metrics", metrics),
            ("docs/configuration.md", "later", later),
            ("docs/advice.md", "advice", advice),
            ("docs/cli.md", "commands", commands),
        ]
    ]
    same.append(put(check, "docs/schema.json", output(program(), "schema")))
    if check and not all(same):
        sys.exit("the docs are behind the code: run `make update`")


if __name__ == "__main__":
    main()
