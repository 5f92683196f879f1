package main

// The backend: where jobs run. To run them elsewhere, replace what is in this file.
//
// Here a box is one of libvirt's virtual machines with a disk of its own over a base image, reached by ssh; the image has to have bash,
// git and setsid.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	triesMax = 240 // until a machine answers
	pause    = 500 * time.Millisecond
)

type jobBox struct {
	name, buildsDir, cacheDir string
	notes                     string // in the box, for the driver
	disk                      string
}

func newBox(name string) jobBox {
	state := cmp.Or(os.Getenv("XDG_STATE_HOME"), cmp.Or(os.Getenv("HOME"), "/tmp")+"/.local/state")
	disk := filepath.Join(state, "my-driver", name+".qcow2")
	return jobBox{name: name, buildsDir: "/builds", cacheDir: "/cache", notes: "/run/my-driver", disk: disk}
}

// Says whether the box is there, up or not. Whoever cannot tell must not guess, but return an error.
func (box jobBox) exists(ctx context.Context) (bool, error) {
	var names strings.Builder
	err := start(ctx, []string{"virsh", "list", "--all", "--name"}, nil, &names)
	return slices.Contains(strings.Fields(names.String()), box.name), err
}

func (box jobBox) create(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(box.disk), 0o755); err != nil {
		return err
	}
	// The variable is one of the runner's environment. What the machine writes goes to a file of its own: the base image stays as it is.
	base := cmp.Or(os.Getenv("BASE_IMAGE"), "/var/lib/libvirt/images/base.qcow2")
	if err := start(ctx, []string{"qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", box.disk}, nil, nil); err != nil {
		return err
	}
	machine := []string{
		"virt-install", "--name", box.name, "--os-variant", "debian12", "--disk", box.disk, "--import", "--vcpus", "2",
		"--memory", "2048", "--network", "default", "--graphics", "none", "--noautoconsole",
	}
	if err := start(ctx, machine, nil, nil); err != nil {
		return err
	}
	return box.answers(ctx)
}

// Waits until the machine lets us in. Every wait has an end of its own: the runner would wait for an hour.
func (box jobBox) answers(ctx context.Context) error {
	for range triesMax {
		if address, err := box.address(ctx); err == nil {
			words := ssh(address, "mkdir", "-p", box.buildsDir, box.cacheDir, box.notes)
			// What it says as long as the machine boots would fill the job's log.
			if exec.CommandContext(ctx, words[0], words[1:]...).Run() == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("terminated")
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("%s does not answer", box.name)
}

// Where the machine is reached.
func (box jobBox) address(ctx context.Context) (string, error) {
	var table strings.Builder
	if err := start(ctx, []string{"virsh", "-q", "domifaddr", box.name}, nil, &table); err != nil {
		// Not as an error of the command in the box, whose code would be taken for that of a script.
		return "", fmt.Errorf("where %s is cannot be told: %v", box.name, err)
	}
	// Interface, hardware address, protocol, address/bits; nothing as long as it has no address.
	columns := strings.Fields(table.String())
	if len(columns) < 4 {
		return "", fmt.Errorf("%s has no address", box.name)
	}
	address, _, _ := strings.Cut(columns[3], "/")
	return address, nil
}

// Removes the box with all that runs in it, and its disk; succeeds if there is none.
func (box jobBox) remove(ctx context.Context) error {
	there, err := box.exists(ctx)
	if err != nil {
		return err
	}
	if there {
		_ = start(ctx, []string{"virsh", "destroy", box.name}, nil, nil) // it fails if the machine is off already
		if err := start(ctx, []string{"virsh", "undefine", box.name, "--nvram"}, nil, nil); err != nil {
			return err
		}
	}
	if err := os.Remove(box.disk); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Runs a command in the box to its end. An *exec.ExitError has the code of the command, or of the tool that leads into the box.
func (box jobBox) inside(ctx context.Context, input io.Reader, output io.Writer, words ...string) error {
	address, err := box.address(ctx)
	if err != nil {
		return err
	}
	return start(ctx, ssh(address, words...), input, output)
}

// What is to be started for a command in the machine. A shell on the other side puts the words apart again, so each is quoted.
func ssh(address string, words ...string) []string {
	var line strings.Builder
	for _, word := range words {
		line.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "' ")
	}
	// The keys of machines that live for one job cannot be known before.
	return []string{
		"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@" + address, line.String(),
	}
}
