"""Writes src/platform/tables.rs: kinds of characters as this Python has them.

    python3 runtime/template/make_tables.py > runtime/template/src/platform/tables.rs
"""

import sys
import unicodedata


def ranges(test):
    """Pairs of a distance to the end of the last range and a length, each below 65536."""
    out, last, start = [], 0, None
    for code in range(128, 0x110001):
        inside = code < 0x110000 and not 0xD800 <= code < 0xE000 and test(chr(code))
        if inside and start is None:
            start = code
        if not inside and start is not None:
            gap, length = start - last, code - start
            while gap > 65535:
                out += [65535, 0]
                gap -= 65535
            while length > 65535:
                out += [gap, 65535]
                gap, length = 0, length - 65535
            out += [gap, length]
            last, start = code, None
    return out


def table(name, about, kind, numbers):
    print(f"\n/// {about}\npub(crate) const {name}: &[{kind}] = &[")
    line = "   "
    for number in numbers:
        if len(line) + len(f" {number},") > 118:
            print(line)
            line = "   "
        line += f" {number},"
    print(line)
    print("];")


print(f"//! Kinds of characters in Unicode {unicodedata.unidata_version}. Written by make_tables.py.")
zeros = [c for c in range(128, 0x110000) if unicodedata.decimal(chr(c), None) == 0]
for zero in zeros:
    assert all(unicodedata.decimal(chr(zero + d), None) == d for d in range(10)), hex(zero)
table("ALPHA", "Letters: `str.isalpha`.", "u16", ranges(str.isalpha))
table("UNPRINTABLE", "What `repr` escapes.", "u16", ranges(lambda c: not c.isprintable()))
table("DIGIT", "Digits that are no decimals.", "u16", ranges(lambda c: c.isdigit() and not c.isdecimal()))
table("NUMERIC", "Numbers that are no digits.", "u16", ranges(lambda c: c.isnumeric() and not c.isdigit()))
table("ZEROS", "Zeros of all scripts but ours.", "u32", zeros)
