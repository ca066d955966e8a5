"""Become another program that dies with the supervisor: `launcher.py PARENT_PID COMMAND [ARG ...]`.

Run by path with `python -I -S`, so it imports nothing but the standard library. The kernel sends SIGTERM when the
parent thread ends, however it ends (prctl(2), PR_SET_PDEATHSIG; kept across execve).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
CANNOT_RUN = 127  # what a shell answers for a command that it does not find


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit(CANNOT_RUN)  # the supervisor ended before the request to the kernel was made
    try:
        os.execvp(command[0], command)  # noqa: S606 - running the user's command is the purpose
    except OSError as error:
        sys.exit(f"cannot run {command[0]!r}: {error.strerror}")


if __name__ == "__main__":
    main()
