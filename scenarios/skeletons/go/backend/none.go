package main

// The backend: where jobs run. To run them elsewhere, replace what is in this file.
//
// Here a box is a directory of this machine, private to a job, but no border: its scripts run as the user of the runner.

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
)

type jobBox struct {
	name, buildsDir, cacheDir string
	notes                     string // in the box, for the driver
	place                     string
}

func newBox(name string) jobBox {
	state := cmp.Or(os.Getenv("XDG_STATE_HOME"), cmp.Or(os.Getenv("HOME"), "/tmp")+"/.local/state")
	place := filepath.Join(state, "my-driver", name)
	return jobBox{name: name, buildsDir: place + "/builds", cacheDir: place + "/cache", notes: place + "/notes", place: place}
}

// Says whether the box is there. Whoever cannot tell must not guess, but return an error.
func (box jobBox) exists(context.Context) (bool, error) {
	_, err := os.Stat(box.notes)
	if os.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}

func (box jobBox) create(context.Context) error {
	// The last directory says that the box is whole.
	for _, directory := range []string{box.buildsDir, box.cacheDir, box.notes} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Removes the box with all that runs in it; succeeds if there is none.
func (box jobBox) remove(ctx context.Context) error {
	if there, err := box.exists(ctx); err != nil {
		return err
	} else if there {
		if err := endWork(ctx, box, "stop"); err != nil {
			return err
		}
	}
	return os.RemoveAll(box.place)
}

// Runs a command in the box to its end. How it has ended otherwise than well is an *exec.ExitError.
func (box jobBox) inside(ctx context.Context, input io.Reader, output io.Writer, words ...string) error {
	return start(ctx, words, input, output)
}
