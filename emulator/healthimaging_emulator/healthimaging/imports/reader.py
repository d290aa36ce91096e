"""Read the files of an import job without slowing down other threads.

Reading DICOM is pure Python, and of this only one thread runs at a time. So a job that has more than a few files reads
them in a child process. If the child dies of a file, for example in a codec, only this file fails.

The two processes send each other pickled messages over the child's standard input and output. The child ends when its
input does, so it never outlives this process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import IO

from .instance import Instance, NotImportable, read_instance

FILES_IN_THREAD = 50
"""Files of a job that its own thread reads: for so few, starting a process takes longer."""

CHILD_ENDED = "DICOM file cannot be read: the process that reads it ended"


class FileReader:
    """Reads the files of one job, one after another."""

    def __init__(self) -> None:
        self._count = 0
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, content: bytes) -> Instance:
        """Read a DICOM file. Raises ``NotImportable``, and ``ImportError`` without the extra ``dicom``."""
        self._count += 1
        if self._count <= FILES_IN_THREAD or not sys.executable:
            return read_instance(content)
        if self._child is None:
            try:
                self._child = _start_child()
            except OSError:  # the system has no room for it
                return read_instance(content)
        found = _ask(self._child, content)
        if isinstance(found, Instance):
            return found
        if found is None:
            self.close()
        raise found or NotImportable(CHILD_ENDED)

    def close(self) -> None:
        """End the child process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()


def _start_child() -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    # Without the present folder, which -c puts in front of the parent's own path.
    program = f"import sys; sys.path[:1] = []; from {__name__} import answer_parent; answer_parent()"
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, "-c", program]
    return subprocess.Popen(  # of a session of its own, so that Ctrl-C leaves it to the parent
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
    )


def _ask(child: subprocess.Popen[bytes], content: bytes) -> Instance | NotImportable | None:
    """Let a child read a file; None if it has ended."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(OSError, EOFError, pickle.UnpicklingError):
        _send(child.stdin, content)
        found: Instance | NotImportable = pickle.load(child.stdout)  # our own process has written it
        return found
    return None


def answer_parent() -> None:
    """Read the files that the parent process sends, until it has no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write between the answers
    with suppress(OSError, EOFError, pickle.UnpicklingError):  # the parent has ended
        while True:
            content = pickle.load(sys.stdin.buffer)  # the parent has written it
            try:
                _send(answers, read_instance(content))
            except NotImportable as error:
                _send(answers, NotImportable(error.message))  # without its cause, which may not be known there


def _send(file: IO[bytes], message: object) -> None:
    pickle.dump(message, file, pickle.HIGHEST_PROTOCOL)
    file.flush()
