package main

// The backend: where jobs run. To run them elsewhere, replace what is in this file.
//
// Here a box is one of Docker's containers, made from the image that the job names; the image has to have bash, git and setsid.

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

type jobBox struct {
	name, buildsDir, cacheDir string
	notes                     string // in the box, for the driver
}

func newBox(name string) jobBox {
	return jobBox{name: name, buildsDir: "/builds", cacheDir: "/cache", notes: "/run/my-driver"}
}

// Says whether the box is there. Whoever cannot tell must not guess, but return an error: `docker inspect` would fail in the same way
// without the container and without the daemon. The filter finds parts of names, too: of job 12 and job 123.
func (box jobBox) exists(ctx context.Context) (bool, error) {
	var names strings.Builder
	err := start(ctx, []string{"docker", "ps", "--all", "--filter", "name=" + box.name, "--format", "{{.Names}}"}, nil, &names)
	return slices.Contains(strings.Fields(names.String()), box.name), err
}

var nameOfImage = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`)

func (box jobBox) create(ctx context.Context) error {
	image := cmp.Or(variable("CI_JOB_IMAGE"), "buildpack-deps:stable")
	// The job chooses this word: it must not be an option of Docker's.
	if !nameOfImage.MatchString(image) {
		return fmt.Errorf("%s is no name of an image", image)
	}
	// `sleep` keeps the container, whatever the image would start.
	words := []string{"docker", "run", "--detach", "--init", "--name", box.name, "--entrypoint", "sleep", image, "infinity"}
	if err := start(ctx, words, nil, nil); err != nil {
		return err
	}
	return box.inside(ctx, nil, nil, "mkdir", "-p", box.buildsDir, box.cacheDir, box.notes)
}

// Removes the box with all that runs in it; succeeds if there is none.
func (box jobBox) remove(ctx context.Context) error {
	if there, err := box.exists(ctx); err != nil || !there {
		return err
	}
	return start(ctx, []string{"docker", "rm", "--force", "--volumes", box.name}, nil, nil)
}

// Runs a command in the box to its end. An *exec.ExitError has the code of the command, or of the tool that leads into the box.
func (box jobBox) inside(ctx context.Context, input io.Reader, output io.Writer, words ...string) error {
	return start(ctx, append([]string{"docker", "exec", "--interactive", box.name}, words...), input, output)
}
