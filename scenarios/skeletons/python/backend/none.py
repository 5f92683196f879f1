"""The backend: where jobs run. To run them elsewhere, replace what is in this class.

Here a box is a directory of this machine, private to a job, but no border: its scripts run as the user of the runner.
"""

import contextlib
import os
import pathlib
import shutil
import signal


class Box:
    def __init__(self, name):
        state = os.environ.get("XDG_STATE_HOME") or os.environ.get("HOME", "/tmp") + "/.local/state"
        self.name = name
        self.place = pathlib.Path(state, "my-driver", name)
        self.builds_dir = str(self.place / "builds")
        self.cache_dir = str(self.place / "cache")
        self.notes = str(self.place / "notes")  # in the box, for the driver

    def exists(self):
        """Says whether the box is there. Whoever cannot tell must not guess, but raise an exception."""
        return pathlib.Path(self.notes).is_dir()

    def create(self):
        # The last directory says that the box is whole.
        for directory in (self.builds_dir, self.cache_dir, self.notes):
            os.makedirs(directory)

    def remove(self):
        """Removes the box with all that runs in it; succeeds if there is none."""
        for note in pathlib.Path(self.notes).glob("*.group"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(note.read_text()), signal.SIGKILL)
        if self.place.exists():
            shutil.rmtree(self.place)

    def command(self, command):
        """What is to be started for a command in the box, with its standard input, output and exit code."""
        return command
