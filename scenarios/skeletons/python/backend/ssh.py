"""The backend: where jobs run. To run them elsewhere, replace what is in this file.

Here a box is a directory of a fixed host that all jobs share, reached by ssh. It is private to a job, but no border: scripts run as
the user that logs in. Who that is, with which key and port, is a matter of the ssh configuration of the runner's user, which has to
know the key of the host as well.
"""

import os
import shlex
import subprocess

HOST = os.environ.get("SSH_HOST") or "build-host"  # the variable is one of the runner's environment
STORE = "/var/lib/my-driver"  # on the host; the user that logs in has to be able to write there

# ssh never asks, and gives up on a host that is gone; its code is then 255, which may as well be that of the command.
SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o LogLevel=ERROR".split()
SSH += "-o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=4".split()

# Runs on the host. The last directory says that the box is whole. Scripts hold secrets, so it is for its owner alone.
CREATE = 'umask 077; mkdir -p "$1/builds" "$1/tmp" "$2" && mkdir "$1/notes"'

# Runs on the host: ends every process of the job, also those in sessions of their own, then removes the box. It is nobody else
# who ends them: the host stays. They have the name of the box in their environment, or work in it.
REMOVE = """
for try in {1..100}; do
    found=$(grep -Flxz -e "MY_DRIVER_BOX=$2" /proc/[0-9]*/environ 2>/dev/null
        find /proc/[0-9]*/cwd -maxdepth 0 "(" -lname "$1" -o -lname "$1/*" ")" 2>/dev/null)
    [ -n "$found" ] || break
    kill -s KILL ${found//[!0-9[:space:]]/} 2>/dev/null
    sleep 0.1
done
[ -z "$found" ] || exit 1
[ ! -e "$1" ] || chmod -R u+rwX "$1"
rm -rf "$1"
"""


def on_host(*words):
    """What is to be started for a command on the host. A shell on the other side puts the words apart again, so each is quoted."""
    return [*SSH, HOST, shlex.join(words)]


def code_on_host(*words):
    return subprocess.run(on_host(*words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode


class Box:
    cache_dir = STORE + "/cache"  # serves later jobs as well

    def __init__(self, name):
        self.name = name
        self.place = f"{STORE}/{name}"
        self.builds_dir = self.place + "/builds"
        self.notes = self.place + "/notes"  # in the box, for the driver

    def exists(self):
        """Says whether the box is there. Whoever cannot tell must not guess, but raise an exception."""
        code = code_on_host("test", "-d", self.notes)
        if code > 1:
            raise RuntimeError(f"the host {HOST} does not say whether there is {self.name}")
        return code == 0

    def create(self):
        if code_on_host("bash", "-c", CREATE, "-", self.place, self.cache_dir) != 0:
            raise RuntimeError(f"{self.name} cannot be made on {HOST}")

    def remove(self):
        """Removes the box with all that runs in it; succeeds if there is none, and fails if the host cannot be reached."""
        if code_on_host("bash", "-c", REMOVE, "-", self.place, self.name) != 0:
            raise RuntimeError(f"what is left of {self.name} cannot be removed from {HOST}")

    def command(self, command):
        """What is to be started for a command in the box, with its standard input, output and exit code."""
        return on_host("env", "MY_DRIVER_BOX=" + self.name, f"TMPDIR={self.place}/tmp", *command)
