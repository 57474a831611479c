"""Valid inputs made wrong: bytes turned, fields of a table and values of a document replaced, archives that lie."""

import io
import json
import struct
import warnings
import zipfile
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

__all__ = ["documents", "packed", "relined", "retold", "scrambled", "tabled", "worded", "zipped"]

Draw = Any
"""What `hypothesis.strategies.composite` hands over."""

NUMBERS = (0, -1, 1, 2, 0.5, -0.0, 2**31, 2**63, 10**12, 10**30, 1e308, float("nan"), float("inf"), True, None)
TEXTS = (
    "", " ", "a", "\0", "..", "../../x", "/etc/passwd", "C:\\x", "x/../../y", "é" * 3, "\ud800", "²", "1e999", "nan",
    "[" * 3, "{product}", "%s", "2020-13-41", "tcp://", "s3://", "x" * 5000,
)  # fmt: skip
NESTS = ([], {}, [[]], [None], {"": None}, [0, 10**12])
DEEP = 60_000
"""Brackets within brackets, of which no reader may make as many calls within calls."""

CELLS = (
    b"", b" ", b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"0.05", b"3276.8", b"99999999999999999999", b"1e-400",
    b'"', b'"a,b"', b'""', b"\0", b"\xff\xfe", "é".encode(), b"x" * 9000, b"1" * 5000, b",", b",,,,", b"'", b"=1+1",
    b"20240230", b"D20200103", b"20200103", b"00000000", b"99999999", b"pid", b"easting", b"\r", b"\n", b"\r\n",
)  # fmt: skip
TOKENS = (b"\0", b"\xff" * 8, b"\n", b",", b'"', b"[" * 64, b"{", b"}", b"PK\3\4", b"9" * 30, b"..", b"\xef\xbb\xbf")
MEMBERS = (
    "a.csv", "../a.csv", "/a.csv", "x/../../a.csv", "..\\a.csv", "C:\\a.csv", "\\\\host\\a.csv", "a.csv/", "A.CSV",
    ".csv", "a\0b.csv", "é.csv", "__MACOSX/a.csv", "x" * 60_000 + ".csv", "con.csv", "a.csv\n", "./a.csv",
)  # fmt: skip

CLAIMS = {
    b"(": (b"(1000000000000, ", b"(" * 3000, b"(-1, ", b"(0, ", b"(True, ", b"('x', ", b"(("),
    b"'<": (b"'|O", b"'>", b"'<U99999999", b"'|S0", b"'[('a', '<f8')]", b"'<m8[Y]", b"'|V9"),
    b"NUMPY": (b"NUMPX", b"NUMPY\3", b""),
    b"False": (b"True", b"None", b"1/0", b""),
    b"{": (b"[", b"{'a': 1, ", b"exec('x')", b"\0", b"\xff"),
}
"""What the header of an array says, and what it must not be believed."""


@st.composite
def scrambled(draw: Draw, data: bytes) -> bytes:
    """Bytes of which some are turned, put in, taken out, doubled or cut off."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(at + draw(st.integers(1, 64)), len(data))
        data = draw(
            st.sampled_from(
                (
                    data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :],
                    data[:at] + draw(st.sampled_from(TOKENS)) + data[at:],
                    data[:at] + draw(st.sampled_from(TOKENS)) + data[until:],
                    data[:at] + data[until:],
                    data[:until] + data[at:],
                    data[:at],
                )
            )
        )
    return data


@st.composite
def documents(draw: Draw, document: Any) -> Any:
    """A JSON document with values replaced, taken away or renamed, some places deep in it."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            return draw(_values())
        holder, name = draw(st.sampled_from(places))
        how = draw(st.sampled_from(("replace", "replace", "replace", "remove", "rename", "wrap")))
        if how == "replace":
            holder[name] = draw(_values())
        elif how == "remove":
            del holder[name]
        elif how == "wrap":
            holder[name] = [holder[name]]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(TEXTS))] = holder.pop(name)
    return document


@st.composite
def retold(draw: Draw, document: Any) -> bytes:
    """A document's text: its values wrong, or its bytes."""
    how = draw(st.integers(0, 9))
    if how == 0:
        return draw(scrambled(json.dumps(document).encode()))
    if how == 1:
        return draw(st.sampled_from((b"", b"null", b"[]", b"{}", b"3", b'"x"', b"NaN", b"[" * DEEP, b'{"a":' * DEEP)))
    return json.dumps(draw(documents(document))).encode()


@st.composite
def tabled(draw: Draw, text: bytes) -> bytes:
    """A table with cells, columns or lines changed, and now and then its bytes."""
    rows = [line.split(b",") for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 4))):
        # the header is what most follows from
        row = rows[draw(st.integers(0, len(rows) - 1)) if draw(st.booleans()) else 0]
        at = draw(st.integers(0, max(len(row) - 1, 0)))
        how = draw(st.sampled_from(("cell", "cell", "cell", "add", "remove", "again", "last")))
        if how == "cell" and row:
            row[at] = draw(st.sampled_from(CELLS))
        elif how == "add":
            row.insert(at, draw(st.sampled_from(CELLS)))
        elif how == "remove":
            del row[at : at + draw(st.integers(1, len(row) + 1))]
        elif how == "again":
            rows.insert(draw(st.integers(0, len(rows))), list(row))
        elif len(rows) > 1:
            del rows[draw(st.integers(0, len(rows) - 1))]
    end = draw(st.sampled_from((b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n")))
    separator = draw(st.sampled_from((b",", b",", b",", b",", b";", b" , ")))
    made = end.join(separator.join(row) for row in rows) + draw(st.sampled_from((end, b"", b"\0", b"\x1a")))
    return draw(scrambled(made)) if draw(st.integers(0, 3)) == 0 else made


@st.composite
def worded(draw: Draw, text: bytes) -> bytes:
    """A header or a printed table with words or lines changed."""
    lines = [line.split(b" ") for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.sampled_from(lines))
        how = draw(st.sampled_from(("word", "word", "word", "remove", "again", "last")))
        if how == "word":
            row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(CELLS))
        elif how == "remove":
            row[:] = row[: draw(st.integers(0, len(row)))] or [b""]
        elif how == "again":
            lines.append(list(row))
        elif len(lines) > 1:
            lines.remove(row)
    return b"\n".join(b" ".join(row) for row in lines)


@st.composite
def relined(draw: Draw, text: bytes) -> bytes:
    """A TOML file with values, keys or lines changed."""
    lines = text.splitlines()
    values = ("", "-1", "0", "1e400", "nan", "9" * 400, '""', '"../../x"', "[]", "{}", "true", "2020-13-01",
              '"\\u0000"', "[[" * 30_000, "{a = " * 30_000, "'" * 3, "[1, 'a']", '"{product}"', '"{}"')  # fmt: skip
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, found, _ = lines[at].partition(b"=")
        how = draw(st.sampled_from(("value", "value", "value", "key", "again", "remove", "bytes")))
        if how == "value" and found:
            lines[at] = key + b"= " + draw(st.sampled_from(values)).encode()
        elif how == "key":
            lines[at] = draw(st.sampled_from((b"x", b"[x]", b"[[x]]", b"a.b.c", b"[" + b"a." * 20_000 + b"b]"))) + found
        elif how == "again":
            lines.insert(at, lines[at])
        elif how == "bytes":
            lines[at] = draw(scrambled(lines[at]))
        elif len(lines) > 1:
            del lines[at]
    return b"\n".join(lines)


@st.composite
def zipped(draw: Draw, text: bytes) -> bytes:
    """An archive of a table: its names, number of members, method or what it says of itself may be wrong."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for _ in range(draw(st.sampled_from((1, 1, 1, 1, 2, 0)))):
            content = draw(st.sampled_from((text, text, b"", b"x", text[:1] * 300_000)))
            method = draw(
                st.sampled_from((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            )
            with warnings.catch_warnings(action="ignore"):  # a name that is there already
                archive.writestr(zipfile.ZipInfo(draw(st.sampled_from(MEMBERS))), content, method)
    data = packed.getvalue()
    for _ in range(draw(st.integers(0, 3))):
        at = _heads(data)[draw(st.integers(0, len(_heads(data)) - 1))]
        # offsets of the fields of a header of a member, in the file or in the directory, and of its end
        place = at + draw(st.integers(4, 45))
        wide = struct.pack("<I", draw(st.sampled_from((0, 1, 2**31, 2**32 - 1, len(data), len(text)))))
        data = data[:place] + wide[: draw(st.sampled_from((1, 2, 4)))] + data[place + 4 :]
    return draw(scrambled(data)) if draw(st.integers(0, 4)) == 0 else data


@st.composite
def packed(draw: Draw, members: dict[str, bytes]) -> bytes:
    """An .npz file whose members are sound to the archive, and their headers or values wrong."""
    members, name = dict(members), draw(st.sampled_from(sorted(members)))
    before = draw(st.sampled_from(sorted(CLAIMS)))
    after = draw(st.sampled_from(CLAIMS[before]))
    how = draw(st.integers(0, 3))
    changed = members[name].replace(before, after, 1) if how else draw(scrambled(members[name]))
    if how == 1:  # where the claim is that the header is as long as it was
        changed = changed[: len(members[name])]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in members.items():
            if one != name or draw(st.integers(0, 9)):
                archive.writestr(zipfile.ZipInfo(one), changed if one == name else data)
    return draw(scrambled(whole.getvalue())) if draw(st.integers(0, 5)) == 0 else whole.getvalue()


def _heads(data: bytes) -> list[int]:
    return [at for at in range(len(data) - 3) if data[at : at + 2] == b"PK"] or [0]


def _values() -> st.SearchStrategy[Any]:
    # copies: what is changed further must not be what the next input is made of
    return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.sampled_from(NESTS).map(deepcopy))


def _places(document: Any) -> Any:
    """Every place of a value in a document."""
    if isinstance(document, dict | list):
        for name in list(document) if isinstance(document, dict) else range(len(document)):
            yield document, name
            yield from _places(document[name])
