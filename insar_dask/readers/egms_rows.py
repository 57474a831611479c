"""One reading of an EGMS file: its bands parsed by some threads, its rows kept in order, its bad rows in the books."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.readers.area import Area
from insar_dask.readers.bucket_file import SourceFile
from insar_dask.readers.csv_bands import Band, BandReader
from insar_dask.readers.csv_rows import RowParser, Rows
from insar_dask.readers.csv_source import open_csv
from insar_dask.readers.egms_names import EgmsHeader, parse_header
from insar_dask.readers.quarantine import check_share, write_rejected
from insar_dask.readers.row_store import RowStore

__all__ = ["Reading", "Selection"]


@dataclass(frozen=True)
class Selection:
    """Which rows are asked for."""

    area: Area | None
    min_coherence: float | None
    source: str

    def __call__(self, columns: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.bool_]:
        """Which rows are wanted, from their point columns; (rows,) bool."""
        wanted = np.ones(columns["easting"].size, bool)
        if self.min_coherence is not None:
            wanted &= columns["coherence"] >= self.min_coherence
        if self.area is not None:
            wanted[wanted] = self.area.contains(columns["easting"][wanted], columns["northing"][wanted])
        return wanted

    def check(self, header: EgmsHeader) -> None:
        """Raise CubeError where a file cannot be asked so."""
        if self.min_coherence is not None and "coherence" not in header.columns:
            raise CubeError(f"{self.source} has no column temporal_coherence (L3 has none): leave min_coherence out")


@dataclass(frozen=True)
class Reading:
    """One reading of a file: header, rows, and the books that are kept on the way."""

    path: SourceFile
    selection: Selection
    max_rejected: float
    quarantine: Path | None
    threads: int
    max_ratio: float

    def read(self, *, wide: bool) -> tuple[EgmsHeader, RowStore, str]:
        """Header, all rows, and the BLAKE3 of the file; ``wide`` as of ``RowParser``."""
        with open_csv(self.path, self.max_ratio) as stream:
            reader = BandReader(stream, buffers=2 * self.threads + 3)
            header = parse_header(reader.header, stream.name)
            self.selection.check(header)
            parser = RowParser(header, self.selection, wide=wide)
            rows = RowStore(parser.numbers, header.dates.size, np.float32 if wide else np.int16)
            read = len(reader.header)
            with ThreadPoolExecutor(self.threads) as pool:
                try:
                    for part, band in self._parsed(reader, parser, pool):
                        read += band.used
                        n_expected = (rows.n_rows + part.n_rows) * max(stream.size / read, 1.0)
                        rows.append(part, n_expected, pool, partial(reader.give_back, band))
                        self._check(rows, n_expected)
                    rows.settle()
                finally:
                    pool.shutdown(cancel_futures=True)
            checksum = stream.blake3()
        if rows.n_rows == 0:
            raise CubeError(f"{self.path.name} has a header and no row: download it again")
        return header, rows, checksum

    def _parsed(self, reader: BandReader, parser: RowParser, pool: ThreadPoolExecutor) -> Iterator[tuple[Rows, Band]]:
        """Rows of every band in the order of the file; some bands are parsed while the next is read."""
        ahead: deque[tuple[Future[Rows], Band]] = deque()
        for band in reader:
            ahead.append((pool.submit(parser, band), band))
            if len(ahead) > self.threads:
                future, parsed = ahead.popleft()
                yield future.result(), parsed
        for future, parsed in ahead:
            yield future.result(), parsed

    def _check(self, rows: RowStore, n_rows: float) -> None:
        """Stop early: once the share of all rows is exceeded it stays so. What was found so far is written first."""
        if len(rows.rejected) > self.max_rejected * n_rows:
            self.settle(rows.rejected, n_rows)

    def settle(self, rejected: list[tuple[int, str]], n_rows: float) -> None:
        """Write the rejected rows down, then say whether there are too many."""
        if self.quarantine is not None and rejected:
            write_rejected(self.quarantine, rejected)
        check_share(self.path.name, rejected, n_rows, self.max_rejected, self.quarantine)
