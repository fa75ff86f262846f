"""Zarr's codecs, held to what a recording says of itself.

A chunk says itself how much it unpacks to, and Zarr takes as much memory as that. Here it is
compared with the size that the array has, before any is taken; and what cannot be decoded is one
of our errors, whoever reads it.
"""

from __future__ import annotations

import math
from typing import Any

import zarr
from zarr import codecs
from zarr.registry import register_codec

from .errors import RecordingError

#: Bytes that a word of a chunk takes on average, at most, and a chunk of words in any case.
_WORD, _WORDS = 1000, 2**20


class DamagedChunkError(RecordingError, ValueError):
    """A chunk that is not as it was written; Zarr's own errors of the kind are ValueErrors."""


class _Checked:
    """A codec whose chunks are looked at before they are decoded."""

    def _look(self, chunk: Any, spec: Any) -> None:
        """Raise ValueError if a chunk is not what the array makes expect."""

    def _decode_sync(self, chunk: Any, spec: Any) -> Any:
        try:
            self._look(chunk, spec)
            return super()._decode_sync(chunk, spec)  # type: ignore[misc]
        except (ValueError, RuntimeError, TypeError, IndexError, MemoryError) as problem:
            raise _damaged(problem) from None

    async def _decode_single(self, chunk: Any, spec: Any) -> Any:
        try:
            self._look(chunk, spec)
            return await super()._decode_single(chunk, spec)  # type: ignore[misc]
        except (ValueError, RuntimeError, TypeError, IndexError, MemoryError) as problem:
            raise _damaged(problem) from None


class Zstd(_Checked, codecs.ZstdCodec):
    """Zstandard, of frames that say how much they hold, which is what is expected."""

    def _look(self, chunk: Any, spec: Any) -> None:
        head = chunk.to_bytes()[:18]
        count, width = math.prod(spec.shape), getattr(spec.dtype, "item_size", None)
        text = str(spec.dtype.to_native_dtype().kind) in "TO"
        most = max(_WORDS, _WORD * count) if text or width is None else count * width
        size = _content_size(head)
        if size is None or size > most or not text and size < most:
            raise ValueError(f"it unpacks to {'?' if size is None else f'{size:,}'} bytes, not to "
                             f"{most:,}")


class VLenUTF8Codec(_Checked, codecs.VLenUTF8Codec):
    """Text, of as many words as the chunk has places. Zarr looks for a codec of this name."""

    def _look(self, chunk: Any, spec: Any) -> None:
        count = int.from_bytes(chunk.to_bytes()[:4], "little")
        if count != math.prod(spec.shape):
            raise ValueError(f"it has {count:,} words, not {math.prod(spec.shape):,}")


class Bytes(_Checked, codecs.BytesCodec):
    """Numbers as they are in memory."""


def _damaged(problem: Exception) -> DamagedChunkError:
    if isinstance(problem, DamagedChunkError):
        return problem
    said = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
    return DamagedChunkError(f"a chunk of the recording is not as it was written ({said})")


def _content_size(head: bytes) -> int | None:
    """Return the size that a Zstandard frame unpacks to (RFC 8878, 3.1.1.1); None for none."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    single, flag, dictionary = head[4] >> 5 & 1, head[4] >> 6, head[4] & 3
    start = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    width = (single, 2, 4, 8)[flag]
    if not width or len(head) < start + width:
        return None
    return int.from_bytes(head[start:start + width], "little") + 256 * (width == 2)


for _name, _codec in (("zstd", Zstd), ("vlen-utf8", VLenUTF8Codec), ("bytes", Bytes)):
    register_codec(_name, _codec)
    zarr.config.set({f"codecs.{_name}": f"{_codec.__module__}.{_codec.__qualname__}"})
