"""The backend: where jobs run. To run them elsewhere, replace what is in this file.

Here a box is one of libvirt's virtual machines with a disk of its own over a base image, reached by ssh; the image has to have bash,
git and setsid.
"""

import os
import pathlib
import shlex
import subprocess
import time

# The keys of machines that live for one job cannot be known before.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null".split()
TRIES_MAX = 240  # until a machine answers
PAUSE_S = 0.5  # between two of them

# The variables are those of the runner's environment.
BASE_IMAGE = os.environ.get("BASE_IMAGE") or "/var/lib/libvirt/images/base.qcow2"


def output(*words):
    """What a program prints; that it fails is an exception."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


class Box:
    builds_dir = "/builds"
    cache_dir = "/cache"
    notes = "/run/my-driver"  # in the box, for the driver

    def __init__(self, name):
        self.name = name
        state = os.environ.get("XDG_STATE_HOME") or os.environ.get("HOME", "/tmp") + "/.local/state"
        self.disk = pathlib.Path(state, "my-driver", name + ".qcow2")

    def exists(self):
        """Says whether the box is there. Whoever cannot tell must not guess, but raise an exception."""
        return self.name in output("virsh", "list", "--all", "--name").splitlines()

    def create(self):
        self.disk.parent.mkdir(parents=True, exist_ok=True)
        # What the machine writes goes to a file of its own: the base image stays as it is.
        output("qemu-img", "create", "-q", "-f", "qcow2", "-b", BASE_IMAGE, "-F", "qcow2", str(self.disk))
        hardware = ["--vcpus", "2", "--memory", "2048", "--network", "default", "--graphics", "none", "--os-variant", "debian12"]
        output("virt-install", "--name", self.name, "--disk", str(self.disk), "--import", "--noautoconsole", *hardware)
        # Every wait has an end of its own: the runner would wait for an hour.
        for _ in range(TRIES_MAX):
            if self.address():
                command = self.command(["mkdir", "-p", self.builds_dir, self.cache_dir, self.notes])
                if subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                    return
            time.sleep(PAUSE_S)
        raise TimeoutError(f"{self.name} does not answer")

    def address(self):
        """Where the machine is reached; nothing if it has no address yet."""
        for line in output("virsh", "-q", "domifaddr", self.name).splitlines():
            if line.strip():
                return line.split()[3].partition("/")[0]
        return None

    def remove(self):
        """Removes the box with all that runs in it; succeeds if there is none."""
        if self.exists():
            # It fails if the machine is off already.
            subprocess.run(["virsh", "destroy", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            output("virsh", "undefine", self.name, "--nvram")
        self.disk.unlink(missing_ok=True)

    def command(self, command):
        """What is to be started for a command in the box, with its standard input, output and exit code.

        A shell on the other side puts the words apart again, so each is quoted.
        """
        address = self.address()
        if address is None:
            raise RuntimeError(f"{self.name} has no address")
        return [*SSH, "root@" + address, shlex.join(command)]
