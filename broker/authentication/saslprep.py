"""SASLprep (RFC 4013): user names and passwords in the one form in which they are compared.

Strings count as stored strings, as RFC 5802, section 5.1 has it: code points that Unicode 3.2 did
not assign are prohibited.
"""

import stringprep
from unicodedata import ucd_3_2_0

PROHIBITED = (  # RFC 4013, section 2.3; A.1 is section 2.5
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def saslprep(text: str) -> str:
    """`text` prepared. ValueError, which does not quote it, if it is empty or not allowed."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("is empty")
    for char in prepared:
        if any(prohibited(char) for prohibited in PROHIBITED):
            raise ValueError(f"contains U+{ord(char):04X}, which SASLprep prohibits")
    if any(map(stringprep.in_table_d1, prepared)) and (  # RFC 3454, section 6
        any(map(stringprep.in_table_d2, prepared))
        or not stringprep.in_table_d1(prepared[0])
        or not stringprep.in_table_d1(prepared[-1])
    ):
        raise ValueError("mixes directions of writing")
    return prepared
