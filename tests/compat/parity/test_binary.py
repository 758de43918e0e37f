"""binary.test.js: bytes go in and come out."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    BinaryField,
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    UlidField,
    ValidationError,
    run_with_batch_context,
)


class File(Model, prefix="bin", name="BinFile"):
    file_id: str = UlidField(auto_assign=True)
    data: bytes = BinaryField()
    thumbnail: bytes | None = BinaryField(default=None)

    primary_key = PrimaryKey("file_id")


MODELS = [File]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_bytes() -> None:
    """Bytes written come back as bytes."""
    file = File.create(data=b"\x00\x01\xfe\xff")
    with run_with_batch_context():
        data = File.find(file.file_id).data
    assert data == b"\x00\x01\xfe\xff"
    assert type(data) is bytes


def test_02_unset_optional() -> None:
    """An optional binary field without a value reads None."""
    file = File.create(data=b"x")
    assert file.thumbnail is None
    assert File.find(file.file_id).thumbnail is None


def test_03_text_is_refused() -> None:
    """A text is no binary value."""
    with pytest.raises(ValidationError, match="data"):
        File.create(data="text")


def test_04_required() -> None:
    """A required binary field needs a value."""
    with pytest.raises(ValidationError, match="data is required"):
        File.create()


def test_05_update() -> None:
    """An update stores new bytes and returns them."""
    file = File.create(data=b"before")
    assert File.update(file.file_id, data=b"\x00after").data == b"\x00after"
    assert File.find(file.file_id).data == b"\x00after"


def test_06_no_key(manager: Manager) -> None:
    """A binary field cannot be a key of an index."""
    with pytest.raises(ConfigurationError, match="BinaryField cannot be a key"):

        class Wrong(Model, prefix="binw", name="BinWrong"):
            file_id: str = UlidField(auto_assign=True)
            data: bytes = BinaryField()

            primary_key = PrimaryKey("file_id")
            by_data = Index("data", id="gsi1")


def test_07_large() -> None:
    """256 KiB survive a round trip."""
    data = bytes(range(256)) * 1024
    file = File.create(data=data)
    assert File.find(file.file_id).data == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_08_kinds_of_bytes(kind: type) -> None:
    """bytes, bytearray and memoryview are all accepted."""
    file = File.create(data=kind(b"\x01\x02"))
    assert file.data == b"\x01\x02"
    assert File.find(file.file_id).data == b"\x01\x02"
