import struct

from kbert.corpus.records.frames import frame_record, is_header


def test_a_frame_has_length_and_checksums():
    """CRC-32C of "123456789" is 0xE3069283 (RFC 3720's check value), masked by rotation and a constant."""
    frame = frame_record(b"123456789")
    assert struct.unpack("<Q", frame[:8]) == (9,)
    assert frame[12:21] == b"123456789"
    crc = 0xE3069283
    assert struct.unpack("<I", frame[21:]) == ((((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) & 0xFFFFFFFF,)


def test_a_header_has_the_checksum_of_its_length():
    frame = frame_record(b"123456789")
    assert is_header(frame[:12])
    assert not is_header(frame[:11])
    assert not is_header(b"\0" + frame[1:12])
