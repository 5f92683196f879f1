package main

// The backend: where jobs run. To run them elsewhere, replace what is in this file.
//
// Here a box is a directory of a fixed host that all jobs share, reached by ssh. It is private to a job, but no border: scripts run as
// the user that logs in. Who that is, with which key and port, is a matter of the ssh configuration of the runner's user, which has to
// know the key of the host as well.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// On the host; the user that logs in has to be able to write there.
const store = "/var/lib/my-driver"

// Runs on the host. The last directory says that the box is whole. Scripts hold secrets, so it is for its owner alone.
const createScript = `umask 077; mkdir -p "$1/builds" "$1/tmp" "$2" && mkdir "$1/notes"`

// Runs on the host: ends every process of the job, also those in sessions of their own, then removes the box. It is nobody else
// who ends them: the host stays. They have the name of the box in their environment, or work in it.
const removeScript = `
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
`

type jobBox struct {
	name, buildsDir, cacheDir string
	notes                     string // in the box, for the driver
	place, host               string
}

func newBox(name string) jobBox {
	place := store + "/" + name
	return jobBox{
		name:      name,
		buildsDir: place + "/builds",
		cacheDir:  store + "/cache", // serves later jobs as well
		notes:     place + "/notes",
		place:     place,
		host:      cmp.Or(os.Getenv("SSH_HOST"), "build-host"), // the variable is one of the runner's environment
	}
}

// Says whether the box is there. Whoever cannot tell must not guess, but return an error.
func (box jobBox) exists(ctx context.Context) (bool, error) {
	err := start(ctx, box.onHost("test", "-d", box.notes), nil, nil)
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 1 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the host %s does not say whether there is %s: %w", box.host, box.name, err)
	}
	return true, nil
}

func (box jobBox) create(ctx context.Context) error {
	if err := start(ctx, box.onHost("bash", "-c", createScript, "-", box.place, box.cacheDir), nil, nil); err != nil {
		return fmt.Errorf("%s cannot be made on %s: %w", box.name, box.host, err)
	}
	return nil
}

// Removes the box with all that runs in it; succeeds if there is none, and fails if the host cannot be reached.
func (box jobBox) remove(ctx context.Context) error {
	if err := start(ctx, box.onHost("bash", "-c", removeScript, "-", box.place, box.name), nil, nil); err != nil {
		return fmt.Errorf("what is left of %s cannot be removed from %s: %w", box.name, box.host, err)
	}
	return nil
}

// Runs a command in the box to its end. An *exec.ExitError has the code of the command, or 255 of ssh.
func (box jobBox) inside(ctx context.Context, input io.Reader, output io.Writer, words ...string) error {
	environment := []string{"env", "MY_DRIVER_BOX=" + box.name, "TMPDIR=" + box.place + "/tmp"}
	return start(ctx, box.onHost(append(environment, words...)...), input, output)
}

// What is to be started for a command on the host. ssh never asks, and gives up on a host that is gone. A shell on the other side puts
// the words apart again, so each is quoted.
func (box jobBox) onHost(words ...string) []string {
	var line strings.Builder
	for _, word := range words {
		line.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "' ")
	}
	return []string{
		"ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10",
		"-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4", box.host, line.String(),
	}
}
