# Answers with PyPA's packaging; pairs of hexadecimal texts on standard input.
import sys
from packaging.version import InvalidVersion, Version


def version(text):
    try:
        return Version(bytes.fromhex(text).decode())
    except InvalidVersion:
        return None


for line in sys.stdin:
    a, b = map(version, line.rstrip("\n").split("\t"))
    print("?" if a is None or b is None else "<" if a < b else ">" if a > b else "=")
