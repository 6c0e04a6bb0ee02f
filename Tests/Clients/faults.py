# A gateway whose wall clock can be set and whose session database can be broken while it runs: the real binary, with
# a library in front of the C library's calls (faults.c). libfaketime cannot be used: it keeps a Swift program from
# starting.

import errno
import mmap
import os
import struct
import subprocess

from harness import Gateway, directory

_library = None


def _built():
    """The path of the library; made once in a run."""
    global _library
    if _library is None:
        _library = os.path.join(directory(), "faults.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.c")
        subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", _library, source], check=True)
    return _library


class FaultyGateway(Gateway):
    """Starts with a right clock and a sound disk."""

    def __init__(self, upstream_port, **options):
        path = os.path.join(directory(), "faults")
        with open(path, "wb") as file:
            file.write(bytes(32))
        with open(path, "r+b") as file:
            self._faults = mmap.mmap(file.fileno(), 32)
        self._numbers = [0, 0, 0, 0]
        environment = {**os.environ, "LD_PRELOAD": _built(), "FAULTS": path}
        super().__init__(upstream_port, env=environment, **options)

    def _set(self, index, number):
        self._numbers[index] = number
        self._faults[:] = struct.pack("=4q", *self._numbers)

    @property
    def clock(self):
        """Seconds by which its clock is ahead."""
        return self._numbers[0]

    @clock.setter
    def clock(self, seconds):
        self._set(0, seconds)

    def break_disk(self, how=errno.EROFS):
        """From now on no write to the database succeeds; nothing else is hindered."""
        self._set(1, how)

    def break_sync(self):
        """From now on nothing that was written is known to be on disk."""
        self._set(2, errno.EIO)

    def slow_names(self, milliseconds):
        """From now on each look for a name takes so long."""
        self._set(3, milliseconds)

    def mend_disk(self):
        self._set(1, 0)
        self._set(2, 0)
