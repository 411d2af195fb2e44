"""The files of a manifest: which there are, what their footers claim, and their rows in Arrow batches."""

import contextlib
import dataclasses
import hashlib
import io
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from stylecore.errors import UsageError, one_line
from transforms.manifest.distinct import to_rows
from transforms.output import storage
from transforms.output.metrics_files import rows_within

# So many rows are in memory at once, and share the work on values that repeat; fewer where they are heavy.
ROWS_PER_READ, BYTES_PER_READ = 10_000, 32 * 2**20
# A larger row group is read page by page, in pieces of so many bytes of each column.
_WHOLE_GROUP_BYTES, _PIECE_BYTES = 64 * 2**20, 4 * 2**20
# So many files are opened at once.
FILES_AHEAD = 16
# What a manifest may claim; see docs/trust.md.
_MAX_ROWS_PER_GROUP = 2**26
_MAX_GROUP_BYTES = 2**30
# Pages are read whole, in several copies. Writers end one after so many values, however large these are.
_MAX_PAGE_BYTES = 2**25
_VALUES_PER_PAGE = 1024
_MAX_NAME_CHARS = 1_000
_STYLE = "string or list<struct<uri: string, weight: float[, scale: float, content_mask: string, style_mask: string]>>"


class ManifestError(UsageError, ValueError):
    """A manifest that does not exist or is damaged; the message names the file and what was expected.

    An error of the disk or of the service is a StorageError instead: the same file may be read later.
    """


@dataclasses.dataclass(frozen=True)
class ManifestSlice:
    """The first `rows` rows of one row group, numbered in the file and in the whole manifest."""

    file: str
    row_group: int
    first_in_file: int
    first_row: int
    rows: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest whose footers and schemas are checked; its rows are still unread.

    `footers` holds the sha256, in hex, of each file's footer: what tells manifests of one name apart.
    """

    uri: str
    files: tuple[str, ...]
    slices: tuple[ManifestSlice, ...]
    footers: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows in all files."""
        return sum(part.rows for part in self.slices)

    def slices_by_file(self) -> Iterator[list[ManifestSlice]]:
        """Yields the slices of each file, in order."""
        for _, parts in itertools.groupby(self.slices, lambda part: part.file):
            yield list(parts)

    @property
    def job_id(self) -> str:
        """Names what a job computes: equal for the same rows of the same files, however their path is written."""
        files = [str(Path(file).resolve()) if storage.is_local(file) else file for file in self.files]
        return hashlib.sha256(repr((files, self.footers, self.rows)).encode()).hexdigest()[:16]


def open_manifest(uri: str, limit: int | None = None) -> Manifest:
    """Checks the footers and schemas of a manifest's files.

    Args:
      uri: a Parquet file, a glob or a directory, local or not.
      limit: the number of rows to take from the beginning; None takes all.

    Raises:
      ManifestError: no such files, not Parquet, or columns missing or of the wrong type.
      StorageError: a file cannot be read.
    """
    files = _files(uri)
    slices: list[ManifestSlice] = []
    footers: list[str] = []
    taken = 0
    for file, (sizes, footer) in zip(files, storage.read_ahead(_row_group_sizes, files, FILES_AHEAD), strict=True):
        in_file = 0
        footers.append(footer)
        for group, rows in enumerate(sizes):
            count = rows if limit is None else min(rows, limit - taken)
            if count > 0:
                slices.append(ManifestSlice(file, group, in_file, taken, count))
                taken += count
            in_file += rows
    if not slices:
        raise ManifestError(f"{uri}: the manifest has no rows")
    return Manifest(uri, tuple(files), tuple(slices), tuple(footers))


def _files(uri: str) -> list[str]:
    try:
        storage.check_scheme(uri)
        found = storage.match(uri)
        if not found or uri.endswith("/") or (found == [uri] and not uri.endswith(".parquet")):
            found = storage.match(storage.join(uri, "*.parquet")) or found
    except (ValueError, storage.StorageError) as error:
        raise ManifestError(str(error)) from error
    if not found:
        raise ManifestError(f"{uri}: no such manifest (a Parquet file, a glob or a directory of Parquet files)")
    return found


def _row_group_sizes(file: str) -> tuple[list[int], str]:
    """Returns the number of rows of each row group, and the sha256 of the footer in hex."""
    footer = io.BytesIO()
    with _open_parquet(file) as source:
        groups = [source.metadata.row_group(index) for index in range(source.num_row_groups)]
        with _told_apart(file, f"{file}: not a readable Parquet file"):
            source.metadata.write_metadata_file(footer)
    for number, group in enumerate(groups):
        for name, claimed, most in (
            ("rows", group.num_rows, _MAX_ROWS_PER_GROUP),
            ("bytes", group.total_byte_size, _MAX_GROUP_BYTES),
        ):
            if not 0 <= claimed <= most:
                raise ManifestError(f"{file}: row group {number} says it has {claimed} {name}; at most {most} are read")
        _check_pages(file, number, group)
    return [group.num_rows for group in groups], hashlib.sha256(footer.getvalue()).hexdigest()


def _check_pages(file: str, number: int, group: Any) -> None:
    """Raises ManifestError if rows are so heavy that pages, as writers cut them, may be too large.

    It asks for no column of the group: pyarrow ends the process where a damaged file lies about one's statistics.
    """
    row_bytes = group.total_byte_size / max(1, group.num_rows)
    page = min(group.total_byte_size, int(_VALUES_PER_PAGE * row_bytes))
    if page > _MAX_PAGE_BYTES:
        rows = max(1, int(_MAX_PAGE_BYTES / row_bytes))
        raise ManifestError(
            f"{file}: row group {number}: by its footer a page may have {page} bytes, at most {_MAX_PAGE_BYTES} are "
            f"read; write row groups of at most {rows} rows"
        )


def _open_parquet(file: str) -> pq.ParquetFile:
    """Opens a local or remote file; its footer is read once.

    Text that repeats stays a dictionary: written out, 700 bytes can be gigabytes.

    Raises:
      ManifestError: not a readable Parquet file.
      StorageError: it cannot be read.
    """
    with _told_apart(file, f"{file}: not a readable Parquet file"):
        source = file if storage.is_local(file) else _CloudFile(file)
        metadata = pq.read_metadata(source)
        # A damaged schema is refused before its columns are asked for by name.
        try:
            _check_schema(file, metadata.schema.to_arrow_schema())
        except UnicodeDecodeError as error:
            raise ManifestError(f"{file}: the name of a column is not UTF-8") from error
        text = _text(metadata)
        sizes = [metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)]
        whole = max(sizes, default=0) <= _WHOLE_GROUP_BYTES
        return pq.ParquetFile(
            source,
            metadata=metadata,
            read_dictionary=text,
            pre_buffer=whole and not storage.is_local(file),
            buffer_size=0 if whole else _PIECE_BYTES,
        )


def _text(metadata: pq.FileMetaData) -> list[str]:
    """Returns the columns of text, by the schema alone, see `_check_pages`."""
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]


@contextlib.contextmanager
def _told_apart(file: str, damage: str) -> Iterator[None]:
    """Raises ManifestError, its message beginning with `damage`, for a damaged file; StorageError for an unread one."""
    try:
        yield
    except storage.StorageError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
        # pyarrow reports damage as OSError, too; but a number is there only where the operating system refused.
        if isinstance(error, OSError) and error.errno is not None:
            raise storage.StorageError(f"{file}: cannot read it: {os.strerror(error.errno)}") from error
        raise ManifestError(f"{damage}: {one_line(error, 200)}") from error


class _CloudFile(io.RawIOBase):
    """A gs:// object for pyarrow, which hands on what `read` raises: always a StorageError, after the retries."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self._uri = uri
        self._stream = storage.open_binary(uri)

    def read(self, size: int = -1) -> bytes:
        from transforms.output import gcs  # Takes seconds; local work needs none of it.

        try:
            data: bytes = self._stream.read(size)
        except (OSError, *gcs.ERRORS) as error:
            _, reason = gcs.explained(error)
            raise storage.StorageError(f"{self._uri}: cannot read it: {one_line(reason, 300)}") from error
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _check_schema(file: str, schema: pa.Schema) -> None:
    _check_names(file, schema)
    for name, expected, is_right in (
        ("content", "string", _is_text),
        ("style", _STYLE, _is_style),
        ("config", "struct of StyleConfig fields or a JSON string", _is_config),
        ("initial", "string", _is_text_or_null),
    ):
        if name not in schema.names:
            if name in ("config", "initial"):
                continue
            raise ManifestError(f"{file}: column {name!r} is missing, expected {expected}")
        if not is_right(schema.field(name).type):
            raise ManifestError(f"{file}: column {name!r} is {schema.field(name).type}, expected {expected}")


def _check_names(file: str, schema: pa.Schema) -> None:
    names = list(schema.names)
    if "config" in names and pa.types.is_struct(kind := schema.field(names.index("config")).type):
        names += [f"config.{field.name}" for field in kind.fields]
    for name, count in Counter(names).items():
        if count > 1:
            raise ManifestError(f"{file}: column {name[:80]!r} is there {count} times, expected once")
        if len(name) > _MAX_NAME_CHARS:
            raise ManifestError(f"{file}: column {name[:40]!r}... has a name of more than {_MAX_NAME_CHARS} characters")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_style(kind: pa.DataType) -> bool:
    if _is_text(kind):
        return True
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return listed and pa.types.is_struct(kind.value_type) and kind.value_type.get_field_index("uri") >= 0


def _is_config(kind: pa.DataType) -> bool:
    return _is_text_or_null(kind) or pa.types.is_struct(kind)


def _is_text_or_null(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_null(kind)


class SliceReader:
    """Reads slices one after another; those of one file that follow each other share one opening of it.

    A context manager, which closes the file; for one thread.
    """

    def __init__(self) -> None:
        self._file: str | None = None
        self._source: pq.ParquetFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def schema(self, part: ManifestSlice) -> pa.Schema:
        """Returns the schema of a slice's file; raises what `batches` raises."""
        return self._opened(part.file).schema_arrow

    def batches(self, part: ManifestSlice, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a slice as Arrow columns.

        Raises:
          ManifestError: the row group is damaged.
          StorageError: it cannot be read.
        """
        left = part.rows
        with _told_apart(part.file, _damaged(part)):
            source = self._opened(part.file)
            count = rows_within(source.metadata.row_group(part.row_group), ROWS_PER_READ, BYTES_PER_READ)
            for batch in source.iter_batches(count, row_groups=[part.row_group], columns=columns):
                batch.validate(full=True)  # Text that is not UTF-8 shows here, not row by row.
                yield _without_views(batch.slice(0, left))
                left -= min(left, batch.num_rows)
                if not left:
                    return
        if left:
            raise ManifestError(f"{_damaged(part)}: {left} of its rows are missing")

    def _opened(self, file: str) -> pq.ParquetFile:
        if self._source is None or self._file != file:
            self._close()
            self._source, self._file = _open_parquet(file), file
        return self._source

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
        self._source = self._file = None


def _damaged(part: ManifestSlice) -> str:
    return f"{part.file}: row group {part.row_group} is damaged"


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Casts string views to strings: Arrow has few functions for views yet."""
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in batch.schema]
    return batch.cast(pa.schema(fields))


def read_slice(part: ManifestSlice, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yields the rows of a slice as Python values; equal values are one object.

    Raises:
      ManifestError: the row group is damaged.
      StorageError: it cannot be read.
    """
    with SliceReader() as reader:
        for batch in reader.batches(part, columns):
            with _told_apart(part.file, _damaged(part)):
                rows = to_rows(batch)
            yield from rows
