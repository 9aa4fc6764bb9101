"""Reads metadata as FlatBuffers stores it."""

import flatbuffers
import pytest
from flatbuffers.number_types import Int8Flags, UOffsetTFlags
from flatbuffers.table import Table


class Reader:
    """Reads fields of a table by their numbers in metadata_schema.fbs."""

    def __init__(self, table):
        self.table = table

    @classmethod
    def root(cls, content):
        return cls(Table(content, flatbuffers.encode.Get(UOffsetTFlags.packer_type, content, 0)))

    def _place(self, field):
        offset = self.table.Offset(4 + 2 * field)
        return offset and self.table.Pos + offset

    def text(self, field):
        place = self._place(field)
        return self.table.String(place).decode() if place else None

    def number(self, field):
        place = self._place(field)
        return self.table.Get(Int8Flags, place) if place else 0

    def child(self, field):
        return Reader(Table(self.table.Bytes, self.table.Indirect(self._place(field))))

    def children(self, field):
        offset = self.table.Offset(4 + 2 * field)
        if not offset:
            return []
        start = self.table.Vector(offset)
        places = [self.table.Indirect(start + 4 * index) for index in range(self.table.VectorLen(offset))]
        return [Reader(Table(self.table.Bytes, place)) for place in places]


@pytest.fixture(scope="session")
def reader():
    return Reader
