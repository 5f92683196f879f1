#!/usr/bin/env python3
"""A driver for GitLab Runner's Custom executor: the part that the runner sees. Four calls, exit codes, signals.

What a job runs in, its box, is in backend.py.

    driver.py config | prepare | run SCRIPT STAGE | cleanup

The calls are separate processes that share nothing, and any of them can be killed at any moment or come twice. So a box is
named after its job, and whatever has to be known is looked up by that name.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

import backend

# Runs in the box, which may outlive the call: $1 is a directory for notes, $2 the stage, standard input the script.
# Its process group is written down before the script begins, so that it can be ended later, and how it has ended is written
# down, since the code of the tool that leads into the box may be one of the tool's own.
IN_BOX = """
rm -f "$1/$2.code"
echo "$$" >"$1/$2.group" || exit
[ ! -e "$1/stop" ] || exit
cat >"$1/$2.script" || exit
code=0
bash "$1/$2.script" </dev/null || code=$?
echo "$code" >"$1/$2.code"
rm -f "$1/$2.group" "$1/$2.script"
exit "$code"
"""

# Runs in the box: ends the scripts that have begun. With $2 = stop, one that is about to begin does not, either.
END_WORK = """
cd "$1" || exit
rm -f ./*.code
if [ "$2" = stop ]; then : >stop; else rm -f stop; fi
for file in *.group; do
    [ ! -s "$file" ] || kill -s KILL -- "-$(cat "$file")" 2>/dev/null
    rm -f "$file"
done
"""


# How long a box may take to end its script: a backend that does not answer must not keep a job that is over.
PATIENCE_S = 5


class SystemFailure(Exception):
    """Trouble that the job's author cannot help. The runner tries prepare again, and `retry: when` knows it apart."""


class BuildFailure(Exception):
    """The script itself has failed, with this code, which GitLab compares with `allow_failure: exit_codes`."""

    def __init__(self, code):
        super().__init__(f"the script has failed: {code}")
        self.code = code


def variable(name):
    """A CI variable of the job; empty if it has none of this name."""
    return os.environ.get("CUSTOM_ENV_" + name, "")


def name_of_box():
    """The same in all calls of a job, and in no other job. Ids only: names of branches and projects are chosen by others."""
    if not variable("CI_JOB_ID"):
        raise SystemFailure("there is no CUSTOM_ENV_CI_JOB_ID: only a runner can call me")
    return "runner-{}-project-{}-job-{}".format(*map(variable, ("CI_RUNNER_ID", "CI_PROJECT_ID", "CI_JOB_ID")))


def end_work(box, how):
    """Ends what runs in the box; `how` is "stop" or "go-on". Without the box there is nothing to end, or no way to it."""
    command = box.command(["bash", "-c", END_WORK, "-", box.notes, how])
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def config(box):
    # Standard output is JSON for the runner and nothing else; messages belong on standard error.
    driver = {"name": "my-driver", "version": "0.1.0"}
    directories = {"builds_dir": box.builds_dir, "cache_dir": box.cache_dir}
    print(json.dumps({"driver": driver, "hostname": box.name, **directories}))


def prepare(box):
    # An earlier attempt, or a runner that was killed, may have left a box half-made: it is never used again.
    box.remove()
    box.create()
    print(box.name, "is ready")


def run(box, script, stage):
    # The stages share this file: the code of an earlier one must not be taken for this one's.
    code_file().unlink(missing_ok=True)
    if not box.exists():
        raise SystemFailure(f"there is no {box.name}")
    # The runner may have given up on an earlier call, whose script is still there.
    end_work(box, "go-on")
    # A session of its own makes the script and all that it starts one group.
    command = box.command(["setsid", "--wait", "bash", "-c", IN_BOX, "-", box.notes, stage])
    try:
        with open(script, "rb") as text:
            code = subprocess.run(command, stdin=text).returncode
    except Terminated:
        # The script would go on in the box, so it is ended there.
        signal.signal(signal.SIGALRM, on_alarm)
        signal.alarm(PATIENCE_S)
        end_work(box, "stop")
        raise
    if code == 0:
        return
    command = box.command(["cat", f"{box.notes}/{stage}.code"])
    noted = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.strip()
    if noted != str(code):
        raise SystemFailure(f"{box.name} was lost while {stage} ran: code {code}")
    raise BuildFailure(code)


def cleanup(box):
    # May come at any time: before prepare, after a crash, twice. What is not there needs no removing and is no failure.
    box.remove()
    if box.exists():
        raise SystemFailure(f"{box.name} is still there")


class Terminated(SystemFailure):
    """The runner's way to say that the time is up or the job was cancelled. Exit code 0 would count as success."""


def on_term(_number, _frame):
    # One is enough: a second one must not end what the first one has begun.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated("terminated")


def on_alarm(_number, _frame):
    raise TimeoutError("the backend does not answer")


def code_file():
    """Where the runner looks for the code of a script that has failed; older runners do not."""
    return pathlib.Path(os.environ.get("BUILD_EXIT_CODE_FILE") or "build_exit_code")


def main(arguments):
    # The values of both codes are the runner's to choose, so they are never written as numbers.
    build_failure = int(os.environ["BUILD_FAILURE_EXIT_CODE"])
    system_failure = int(os.environ["SYSTEM_FAILURE_EXIT_CODE"])
    calls = {"config": config, "prepare": prepare, "run": run, "cleanup": cleanup}
    try:
        signal.signal(signal.SIGTERM, on_term)
        if not arguments or arguments[0] not in calls:
            raise SystemFailure("call me with config, prepare, run SCRIPT STAGE, or cleanup")
        calls[arguments[0]](backend.Box(name_of_box()), *arguments[1:])
        sys.stdout.flush()
    except BuildFailure as failure:
        code_file().write_text(f"{failure.code}\n")
        return build_failure
    # Whatever else happens: Python's own code for an exception is 1, and would mean that the script has failed.
    except Exception as error:  # pylint: disable=broad-except
        print(f"driver: {error}", file=sys.stderr)
        return system_failure
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
