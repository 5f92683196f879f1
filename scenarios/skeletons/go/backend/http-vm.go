package main

// The backend: where jobs run. To run them elsewhere, replace what is in this file.
//
// Here a box is a virtual machine of a cloud with an HTTP API, reached by ssh; the image has to have bash, git and setsid. The API is a
// model of many: change paths and fields to those of yours.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	triesMax = 240 // until a machine is there, or gone
	pause    = 500 * time.Millisecond
)

var client = http.Client{Timeout: 30 * time.Second}

type jobBox struct {
	name, buildsDir, cacheDir string
	notes                     string // in the box, for the driver
}

func newBox(name string) jobBox {
	return jobBox{name: name, buildsDir: "/builds", cacheDir: "/cache", notes: "/run/my-driver"}
}

// The API's document of a machine.
type machine struct {
	Status  string `json:"status"`
	Address string `json:"address"`
}

// Asks the API: the status, and its document in `answer` if the status says that there is one. The token is never an argument of a
// program, since those can be read by everybody on this machine.
func api(ctx context.Context, method, path string, body, answer any) (int, error) {
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return 0, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, os.Getenv("VM_API_URL")+"/v1/"+path, &text)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("VM_API_TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if answer != nil && response.StatusCode == http.StatusOK {
		err = json.NewDecoder(response.Body).Decode(answer)
	}
	return response.StatusCode, err
}

// The machine of the job; nothing if the API knows none.
func (box jobBox) machine(ctx context.Context) (*machine, error) {
	var found machine
	status, err := api(ctx, http.MethodGet, "instances/"+box.name, nil, &found)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusOK:
		return &found, nil
	case status == http.StatusNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("the API does not say whether there is %s: status %d", box.name, status)
}

// Says whether the box is there. Whoever cannot tell must not guess, but return an error.
func (box jobBox) exists(ctx context.Context) (bool, error) {
	found, err := box.machine(ctx)
	return found != nil, err
}

func (box jobBox) create(ctx context.Context) error {
	image := cmp.Or(variable("CI_JOB_IMAGE"), "debian-13")
	status, err := api(ctx, http.MethodPost, "instances", map[string]string{"name": box.name, "image": image}, nil)
	if err != nil {
		return err
	}
	if status != http.StatusAccepted {
		return fmt.Errorf("%s cannot be made: status %d", box.name, status)
	}
	err = until(ctx, func() (bool, error) {
		found, err := box.machine(ctx)
		if err == nil && (found == nil || found.Status == "off") {
			err = fmt.Errorf("%s is lost", box.name)
		}
		return err == nil && found.Status == "active", err
	})
	if err != nil {
		return err
	}
	return box.inside(ctx, nil, nil, "mkdir", "-p", box.buildsDir, box.cacheDir, box.notes)
}

// Asks until the answer is yes. Every wait has an end of its own: the runner would wait for an hour.
func until(ctx context.Context, asked func() (bool, error)) error {
	for range triesMax {
		if yes, err := asked(); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("terminated")
		case <-time.After(pause):
		}
	}
	return fmt.Errorf("the API has not done what it was asked for in %v", triesMax*pause)
}

// Removes the box with all that runs in it, and waits until the API does not know it any more; succeeds if there is none.
func (box jobBox) remove(ctx context.Context) error {
	status, err := api(ctx, http.MethodDelete, "instances/"+box.name, nil, nil)
	if err != nil {
		return err
	}
	if status != http.StatusNoContent && status != http.StatusNotFound {
		return fmt.Errorf("%s cannot be removed: status %d", box.name, status)
	}
	return until(ctx, func() (bool, error) {
		there, err := box.exists(ctx)
		return !there, err
	})
}

// Runs a command in the box to its end. An *exec.ExitError has the code of the command, or of the tool that leads into the box.
func (box jobBox) inside(ctx context.Context, input io.Reader, output io.Writer, words ...string) error {
	found, err := box.machine(ctx)
	if err != nil {
		return err
	}
	if found == nil || found.Status != "active" {
		return fmt.Errorf("%s is lost", box.name)
	}
	// A shell on the other side puts the words apart again, so each is quoted.
	var line strings.Builder
	for _, word := range words {
		line.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "' ")
	}
	// The keys of machines that live for one job cannot be known before.
	ssh := []string{
		"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "root@" + found.Address, line.String(),
	}
	return start(ctx, ssh, input, output)
}
