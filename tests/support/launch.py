"""Become another program that dies with the process that asked for it.

Run as `python launch.py PARENT_PID PROGRAM ARGUMENT...`. On Linux the kernel then kills the program when its
parent ends in any way; elsewhere it is only started. This is a program of its own because doing the same in
a `preexec_fn` is unsafe, and warned about, in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask to be killed with `parent`; it may have ended just before, so look once afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:
        sys.exit("the parent process is gone")


if __name__ == "__main__":
    if sys.platform == "linux":
        die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
