"""The backend: where jobs run. To run them elsewhere, replace what is in this file.

Here a box is one of Podman's containers, made from the image that the job names; the image has to have bash, git and setsid.
"""

import os
import re
import subprocess


def output(*words):
    """What a program prints; that it fails is an exception."""
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


class Box:
    builds_dir = "/builds"
    cache_dir = "/cache"
    notes = "/run/my-driver"  # in the box, for the driver

    def __init__(self, name):
        self.name = name

    def exists(self):
        """Says whether the box is there. Whoever cannot tell must not guess, but raise an exception."""
        code = subprocess.run(["podman", "container", "exists", self.name]).returncode
        if code not in (0, 1):
            raise RuntimeError(f"Podman does not say whether there is a container {self.name}")
        return code == 0

    def create(self):
        image = os.environ.get("CUSTOM_ENV_CI_JOB_IMAGE") or "docker.io/library/buildpack-deps:stable"
        # The job chooses this word: it must not be an option of Podman's.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", image):
            raise ValueError(f"{image} is no name of an image")
        # `sleep` keeps the container, whatever the image would start.
        output("podman", "run", "--detach", "--name", self.name, "--entrypoint", "sleep", image, "infinity")
        output(*self.command(["mkdir", "-p", self.builds_dir, self.cache_dir, self.notes]))

    def remove(self):
        """Removes the box with all that runs in it; succeeds if there is none."""
        output("podman", "rm", "--force", "--time", "0", "--volumes", self.name)

    def command(self, command):
        """What is to be started for a command in the box, with its standard input, output and exit code."""
        return ["podman", "exec", "--interactive", self.name, *command]
