"""Runs the mutations of this folder: each breaks the code in one known way, and a test must fail.

A mutation is an entry of a .toml file here: `name`, `file`, `old` (stands exactly once in the file),
`new`, and `test`, the arguments of the `cargo test` that must fail. The tree itself is never touched:
a copy is. Ends with 1 if a mutation was missed, does not compile, or no longer fits the code.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "mutants" / "tree"
# A mutation can make a test wait for ever; that counts as noticed. Building counts too.
LONGEST = 900

NOT_COPIED = shutil.ignore_patterns("target", ".git", ".tools", "__pycache__")


def mutants(prefixes):
    for path in sorted(HERE.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutant"]:
            entry["name"] = f"{path.stem}-{entry['name']}"
            if not prefixes or entry["name"].startswith(tuple(prefixes)):
                yield entry


def environment():
    """The copy lies elsewhere, so the vectors beside the tree have to be named."""
    result = {**os.environ, "CARGO_TARGET_DIR": str(TARGET / "mutants" / "build")}
    vectors = ROOT.parent / "shared" / "vectors"
    if vectors.is_dir():
        result.setdefault("PORTCULLIS_VECTORS", str(vectors))
    return result


def cargo_test(arguments):
    """`passed`, `failed`, `no tests`, `does not compile` or `timed out`, and the end of the output."""
    command = ["cargo", "test", "--locked", *arguments.split()]
    try:
        done = subprocess.run(
            command, cwd=COPY, env=environment(), timeout=LONGEST,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
    except subprocess.TimeoutExpired:
        return "timed out", ""
    end = done.stdout[-3000:]
    if "could not compile" in done.stdout:
        return "does not compile", end
    if done.returncode:
        return ("failed" if "test result: FAILED" in done.stdout else "does not run"), end
    ran = any(line.startswith("test result: ok.") and " 0 passed" not in line for line in done.stdout.splitlines())
    return ("passed" if ran else "no tests"), end


def run(mutant):
    """What became of one mutation; `caught` is good, everything else is not."""
    file = COPY / mutant["file"]
    original = file.read_text()
    if original.count(mutant["old"]) != 1:
        return f"does not fit: `old` stands {original.count(mutant['old'])} times in {mutant['file']}", ""
    file.write_text(original.replace(mutant["old"], mutant["new"]))
    try:
        outcome, end = cargo_test(mutant["test"])
    finally:
        file.write_text(original)
    if outcome in ("failed", "timed out"):
        return "caught", end
    return ("MISSED" if outcome == "passed" else outcome), end


def main():
    chosen = list(mutants(sys.argv[1:]))
    if not chosen:
        sys.exit("no mutation has such a name")
    shutil.rmtree(COPY, ignore_errors=True)
    # Not with the times of the originals: cargo would take what an earlier run left for fresh.
    shutil.copytree(ROOT, COPY, ignore=NOT_COPIED, symlinks=True, copy_function=shutil.copy)
    for arguments in dict.fromkeys(mutant["test"] for mutant in chosen):
        outcome, end = cargo_test(arguments)
        if outcome != "passed":
            sys.exit(f"{end}\nwithout a mutation, `cargo test {arguments}`: {outcome}")
    bad = []
    for mutant in chosen:
        started = time.monotonic()
        outcome, end = run(mutant)
        print(f"{outcome:<8} {mutant['name']} ({time.monotonic() - started:.0f} s)", flush=True)
        if outcome != "caught":
            bad.append(mutant["name"])
            print(end if outcome != "MISSED" else f"         cargo test {mutant['test']}", flush=True)
    print(f"{len(chosen) - len(bad)} of {len(chosen)} mutations caught")
    if bad:
        sys.exit("not caught: " + ", ".join(bad))


if __name__ == "__main__":
    main()
