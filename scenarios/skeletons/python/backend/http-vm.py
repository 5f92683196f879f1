"""The backend: where jobs run. To run them elsewhere, replace what is in this file.

Here a box is a virtual machine of a cloud with an HTTP API, reached by ssh; the image has to have bash, git and setsid. The API is a
model of many: change paths and fields to those of yours.
"""

import json
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request

# The keys of machines that live for one job cannot be known before.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null".split()
TRIES_MAX = 240  # until a machine answers
PAUSE_S = 0.5  # between two of them


def api(method, path, body=None):
    """Asks the API: the status and the document. No answer at all is an exception. The token is never an argument of a program,
    since those can be read by everybody on this machine."""
    request = urllib.request.Request(
        f"{os.environ['VM_API_URL']}/v1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['VM_API_TOKEN']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, None


class Box:
    builds_dir = "/builds"
    cache_dir = "/cache"
    notes = "/run/my-driver"  # in the box, for the driver

    def __init__(self, name):
        self.name = name

    def exists(self):
        """Says whether the box is there. Whoever cannot tell must not guess, but raise an exception."""
        return self.machine() is not None

    def machine(self):
        """The document of the machine, if there is one."""
        status, document = api("GET", f"instances/{self.name}")
        if status not in (200, 404):
            raise RuntimeError(f"the API does not say whether there is {self.name}: status {status}")
        return document

    def create(self):
        image = os.environ.get("CUSTOM_ENV_CI_JOB_IMAGE") or "debian-13"
        status, _ = api("POST", "instances", {"name": self.name, "image": image})
        if status != 202:
            raise RuntimeError(f"{self.name} cannot be made: status {status}")
        # Every wait has an end of its own: the runner would wait for an hour.
        for _ in range(TRIES_MAX):
            machine = self.machine()
            if machine is None or machine["status"] == "off":
                raise RuntimeError(f"{self.name} is lost")
            if machine["status"] == "active":
                break
            time.sleep(PAUSE_S)
        subprocess.run(self.command(["mkdir", "-p", self.builds_dir, self.cache_dir, self.notes]), check=True)

    def remove(self):
        """Removes the box with all that runs in it; succeeds if there is none."""
        status, _ = api("DELETE", f"instances/{self.name}")
        if status not in (204, 404):
            raise RuntimeError(f"{self.name} cannot be removed: status {status}")
        for _ in range(TRIES_MAX):
            if not self.exists():
                return
            time.sleep(PAUSE_S)
        raise TimeoutError(f"{self.name} is still there")

    def command(self, command):
        """What is to be started for a command in the box, with its standard input, output and exit code.

        A shell on the other side puts the words apart again, so each is quoted.
        """
        machine = self.machine()
        if machine is None or machine["status"] != "active":
            raise RuntimeError(f"{self.name} is lost")
        return [*SSH, "root@" + machine["address"], shlex.join(command)]
