"""The choice of one frame where a file or series holds several volumes."""

from __future__ import annotations

from GDLACore.errors import VolumeError


def frame_of(frame: int | None, count: int, name: str) -> int:
    """Return ``frame`` if it is one of ``count`` frames, numbered from 0.

    Raises VolumeError if none was chosen or there is no such frame; both say which there are.
    """
    if frame is None:
        raise VolumeError(
            f"{name} holds {count} volumes (frames); one at a time can be segmented.",
            f"Choose one with frame=N (--frame N on the command line), N from 0 to {count - 1}.",
        )
    if not 0 <= frame < count:
        holds = "only one frame" if count == 1 else f"frames 0 to {count - 1}"
        raise VolumeError(
            f"{name} has no frame {frame}: it holds {holds}.",
            "Leave out the frame option." if count == 1 else "Choose one of them.",
        )
    return frame
