"""Writing in the background: one chunk goes to disk while the next is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Writer:
    """Runs jobs one after another in a thread of its own, one at most waiting to be over.

    Used as a context: what is being written when it ends is written to its end.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="cortexsim-writer")
        self._pending: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Begin a job once the one before is over.

        Raises
        ------
        Exception
            What the job before raised.
        """
        self.wait()
        self._pending = self._pool.submit(job)

    def wait(self) -> None:
        """Wait for the job that runs, if one does.

        Raises
        ------
        Exception
            What it raised.
        """
        if self._pending is not None:
            try:
                self._pending.result()
            finally:
                if self._pending.done():
                    self._pending = None

    def __enter__(self) -> Writer:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Wait for the last job; its error counts, unless there is one already."""
        try:
            self.wait()
        except Exception:
            if error is None:
                raise
        finally:
            self._pool.shutdown(wait=True)
