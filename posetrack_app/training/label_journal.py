"""Labelled photos as they come, a line each: a kill costs no more than the photo in work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from posetrack_app.errors import OutputError

__all__ = ["KeptPhoto", "LabelJournal", "journal_of"]


class KeptPhoto(msgspec.Struct, frozen=True):
    """What is known of one photo."""

    name: str
    """Its path below the folder of the photos."""

    size: tuple[int, int]
    """Width and height, pixels."""

    people: list[dict[str, Any]]
    """Entries of `annotations`, without their numbers."""


def journal_of(out: Path) -> Path:
    """Where the photos of a file of labels are kept until it is complete.

    >>> journal_of(Path("runs/labels.json")).name
    'labels.partial.jsonl'
    """
    return out.with_name(f"{out.stem}.partial.jsonl")


class LabelJournal:
    """Begins where an earlier one of the same key was broken off."""

    def __init__(self, path: Path, key: dict[str, Any], *, overwrite: bool = False) -> None:
        """Read what is there.

        Args:
            path: The file, which is there from now on.
            key: All that decides about the labels, as JSON has it.
            overwrite: Begin anew.

        Raises:
            OutputError: it cannot be written, or what is there has another key.
        """
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._head = self._encoder.encode(key) + b"\n"
        try:
            self._file: BinaryIO = path.open("w+b" if overwrite or not path.exists() else "r+b")
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
        begun = self._file.readline()
        if begun.endswith(b"\n") and begun != self._head:
            self._file.close()
            hint = "use those again, or --overwrite to begin anew"
            raise OutputError(f"{path} was begun with other settings, weights or pictures; {hint}")
        if not begun.endswith(b"\n"):
            self._file.seek(0)
            self._write(self._head)
        self.names = {photo.name for photo in self._read()}
        """Photos that are done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        if not self.names:
            self._path.unlink(missing_ok=True)

    def add(self, photo: KeptPhoto) -> None:
        """Keep a photo; once this returns, no kill of the program takes it away.

        Raises:
            OutputError: it cannot be written.
        """
        self._write(self._encoder.encode(photo) + b"\n")
        self.names.add(photo.name)

    def photos(self) -> Iterator[KeptPhoto]:
        """All that are done, in the order in which they came; none may be added meanwhile."""
        self._file.seek(len(self._head))
        yield from self._read()

    def clear(self) -> None:
        """Let go of all: the labels are complete elsewhere. At its end an empty journal removes its file."""
        self.names.clear()

    def _read(self) -> Iterator[KeptPhoto]:
        """Photos from here on; a last line that was broken off is cut away, other damage passed over."""
        decoder = msgspec.json.Decoder(KeptPhoto)
        end = self._file.tell()
        for line in iter(self._file.readline, b""):
            if not line.endswith(b"\n"):
                break
            end += len(line)
            with suppress(msgspec.DecodeError):  # that photo is labelled once more
                yield decoder.decode(line)
        self._file.seek(end)
        self._file.truncate()

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from None
