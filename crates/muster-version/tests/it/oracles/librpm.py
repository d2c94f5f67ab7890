# Answers with librpm through its Python bindings; pairs of hexadecimal texts on standard input.
import sys
import rpm


def version(text):
    try:
        return rpm.ver(bytes.fromhex(text).decode())
    except ValueError:
        return None


for line in sys.stdin:
    a, b = map(version, line.rstrip("\n").split("\t"))
    print("?" if a is None or b is None else "<" if a < b else ">" if a > b else "=")
