"""What many runs give together: a table of the runs, and one table of all poses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats.parquet import SCHEMA
from posetrack_app.formats.saving import saving
from posetrack_app.jobs.ledger import Outcome, write_atomically

__all__ = ["merge_poses", "write_summary"]

_COLUMNS = ("input", "folder", "state", "frames", "people", "seconds", "fps", "doubts", "error")
_ROWS_A_GROUP = 65_536
_SCHEMA = pa.schema([pa.field("video", pa.dictionary(pa.int32(), pa.string())), *SCHEMA])


def write_summary(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a row for each input.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for outcome in outcomes:
        table.writerow([getattr(outcome, column) for column in _COLUMNS])
    try:
        write_atomically(path, text.getvalue())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None


def merge_poses(out: Path, folders: Sequence[str]) -> int:
    """Write `out`/poses.parquet: the tables of these folders one after the other, in `video` the name of the folder.

    Identities are those of each video: track 3 of one is not track 3 of another. Memory holds a row group or two.

    Returns:
        The number of rows.

    Raises:
        InputError: a table cannot be read.
        OutputError: the table cannot be written.
    """
    rows = 0
    names = pa.array(folders, type=pa.string())
    with saving(out / "poses.parquet") as partial, pq.ParquetWriter(partial, _SCHEMA, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for number, folder in enumerate(folders):
            for table in _row_groups(out / folder / "poses.parquet"):
                video = pa.DictionaryArray.from_arrays(pa.array([number] * len(table), type=pa.int32()), names)
                waiting.append(table.add_column(0, _SCHEMA.field("video"), video))
                rows += len(table)
                if sum(map(len, waiting)) >= _ROWS_A_GROUP:
                    _write(writer, waiting)
        _write(writer, waiting)
    return rows


def _row_groups(path: Path) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=SCHEMA.names)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {str(error).splitlines()[0]}") from None


def _write(writer: pq.ParquetWriter, tables: list[pa.Table]) -> None:
    """Write tables as one row group and forget them."""
    if tables:
        table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
        writer.write_table(table, row_group_size=len(table))
        tables.clear()
