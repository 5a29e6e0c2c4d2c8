#!/usr/bin/env python3
"""Writes the library's manifest with each dependency at the lowest version that it allows, and without
what is not the library: tests, examples, development dependencies, the workspace.

    minimal_manifest.py Cargo.toml > target/minimal-versions/Cargo.toml
"""

import re
import sys

DROPPED = re.compile(
    r"\[(\[(test|bench|example)\]|workspace.*|profile.*|lints.*|(target\..*\.)?dev-dependencies.*)\]"
)
DEPENDENCIES = re.compile(r"\[(target\..*\.)?dependencies\]")
VERSION = re.compile(r'^([\w-]+ = (?:\{ version = )?)"([\d.]+)"')


def exact(match):
    numbers = match[2].split(".")
    return f'{match[1]}"={".".join(numbers + ["0"] * (3 - len(numbers)))}"'


def main():
    section = ""
    with open(sys.argv[1], encoding="utf-8") as file:
        for line in file:
            if line.startswith("["):
                section = line.strip()
            if DROPPED.fullmatch(section):
                continue
            if DEPENDENCIES.fullmatch(section):
                line = VERSION.sub(exact, line)
            sys.stdout.write(line)
    # Not a member of the workspace around it, and its lints are no matter here.
    print('\n[workspace]\n\n[lints.rust]\nunexpected_cfgs = "allow"')


main()
