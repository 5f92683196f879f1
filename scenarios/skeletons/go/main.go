// A driver for GitLab Runner's Custom executor: the part that the runner sees. Four calls, exit codes, signals.
// What a job runs in, its box, is in backend.go.
//
//	driver config | prepare | run SCRIPT STAGE | cleanup
//
// The calls are separate processes that share nothing, and any of them can be killed at any moment or come twice. So a box is
// named after its job, and whatever has to be known is looked up by that name.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Runs in the box, which may outlive the call: $1 is a directory for notes, $2 the stage, standard input the script.
// Its process group is written down before the script begins, so that it can be ended later, and how it has ended is written
// down, since the code of the tool that leads into the box may be one of the tool's own.
const inBox = `
rm -f "$1/$2.code"
echo "$$" >"$1/$2.group" || exit
[ ! -e "$1/stop" ] || exit
cat >"$1/$2.script" || exit
code=0
bash "$1/$2.script" </dev/null || code=$?
echo "$code" >"$1/$2.code"
rm -f "$1/$2.group" "$1/$2.script"
exit "$code"
`

// Runs in the box: ends the scripts that have begun. With $2 = stop, one that is about to begin does not, either.
const endWorkScript = `
cd "$1" || exit
rm -f ./*.code
if [ "$2" = stop ]; then : >stop; else rm -f stop; fi
for file in *.group; do
    [ ! -s "$file" ] || kill -s KILL -- "-$(cat "$file")" 2>/dev/null
    rm -f "$file"
done
`

// How long a box may take to end its script: a backend that does not answer must not keep a job that is over.
const patience = 5 * time.Second

// The script itself has failed, with this code, which GitLab compares with `allow_failure: exit_codes`. Every other error is
// trouble that the job's author cannot help: the runner tries prepare again, and `retry: when` knows it apart.
type buildFailure int

func (code buildFailure) Error() string { return fmt.Sprintf("the script has failed: %d", int(code)) }

func main() {
	// The runner's way to say that the time is up or the job was cancelled. It ends the program that is waited for, and
	// the call fails: exit code 0 would count as success.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := call(ctx, os.Args[1:])
	var failure buildFailure
	switch {
	case err == nil:
	case errors.As(err, &failure):
		if file := codeFile(); file != "" {
			_ = os.WriteFile(file, []byte(fmt.Sprintf("%d\n", int(failure))), 0o600)
		}
		os.Exit(exitCode("BUILD_FAILURE_EXIT_CODE", 1))
	default:
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(exitCode("SYSTEM_FAILURE_EXIT_CODE", 2))
	}
}

// The values of both codes are the runner's to choose; by hand, they are what it chooses today.
func exitCode(variable string, byHand int) int {
	if value, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return value
	}
	return byHand
}

func call(ctx context.Context, arguments []string) error {
	if variable("CI_JOB_ID") == "" {
		return errors.New("there is no CUSTOM_ENV_CI_JOB_ID: only a runner can call me")
	}
	// The same in all calls of a job, and in no other job. Ids only: names of branches and projects are chosen by others.
	box := newBox(fmt.Sprintf("runner-%s-project-%s-job-%s",
		variable("CI_RUNNER_ID"), variable("CI_PROJECT_ID"), variable("CI_JOB_ID")))
	switch {
	case len(arguments) == 1 && arguments[0] == "config":
		return config(box)
	case len(arguments) == 1 && arguments[0] == "prepare":
		return prepare(ctx, box)
	case len(arguments) == 3 && arguments[0] == "run":
		return run(ctx, box, arguments[1], arguments[2])
	case len(arguments) == 1 && arguments[0] == "cleanup":
		return cleanup(ctx, box)
	}
	return errors.New("call me with config, prepare, run SCRIPT STAGE, or cleanup")
}

// A CI variable of the job; empty if it has none of this name.
func variable(name string) string { return os.Getenv("CUSTOM_ENV_" + name) }

// Standard output is JSON for the runner and nothing else; messages belong on standard error.
func config(box jobBox) error {
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"driver":     map[string]string{"name": "my-driver", "version": "0.1.0"},
		"hostname":   box.name,
		"builds_dir": box.buildsDir,
		"cache_dir":  box.cacheDir,
	})
}

func prepare(ctx context.Context, box jobBox) error {
	// An earlier attempt, or a runner that was killed, may have left a box half-made: it is never used again.
	if err := box.remove(ctx); err != nil {
		return err
	}
	if err := box.create(ctx); err != nil {
		return err
	}
	_, err := fmt.Println(box.name, "is ready")
	return err
}

func run(ctx context.Context, box jobBox, script, stage string) error {
	// The stages share this file: the code of an earlier one must not be taken for this one's.
	if file := codeFile(); file != "" {
		_ = os.Remove(file)
	}
	if there, err := box.exists(ctx); err != nil {
		return err
	} else if !there {
		return fmt.Errorf("there is no %s", box.name)
	}
	// The runner may have given up on an earlier call, whose script is still there.
	if err := endWork(ctx, box, "go-on"); err != nil {
		return fmt.Errorf("%s cannot be reached: %w", box.name, err)
	}
	text, err := os.Open(script)
	if err != nil {
		return err
	}
	defer text.Close()
	// A session of its own makes the script and all that it starts one group.
	err = box.inside(ctx, text, os.Stdout, "setsid", "--wait", "bash", "-c", inBox, "-", box.notes, stage)
	if ctx.Err() != nil {
		// The script would go on in the box, so it is ended there.
		last, done := context.WithTimeout(context.Background(), patience)
		defer done()
		_ = endWork(last, box, "stop")
		return errors.New("terminated")
	}
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return err
	}
	var noted strings.Builder
	err = box.inside(ctx, nil, &noted, "cat", box.notes+"/"+stage+".code")
	if err != nil || strings.TrimSpace(noted.String()) != strconv.Itoa(ended.ExitCode()) {
		return fmt.Errorf("%s was lost while %s ran: %w", box.name, stage, ended)
	}
	return buildFailure(ended.ExitCode())
}

// May come at any time: before prepare, after a crash, twice. What is not there needs no removing and is no failure.
func cleanup(ctx context.Context, box jobBox) error {
	if err := box.remove(ctx); err != nil {
		return err
	}
	there, err := box.exists(ctx)
	if err == nil && there {
		return fmt.Errorf("%s is still there", box.name)
	}
	return err
}

// Ends the script that runs in the box; `how` is "stop" or "go-on".
func endWork(ctx context.Context, box jobBox, how string) error {
	return box.inside(ctx, nil, nil, "bash", "-c", endWorkScript, "-", box.notes, how)
}

// Runs a program to its end. A signal to the driver ends it, too.
func start(ctx context.Context, words []string, input io.Reader, output io.Writer) error {
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	// What a program that was ended has started itself may hold its output open.
	command.WaitDelay = time.Second
	command.Stdin, command.Stdout, command.Stderr = input, output, os.Stderr
	return command.Run()
}

// Where the runner looks for the code of a script that has failed; older runners do not.
func codeFile() string { return os.Getenv("BUILD_EXIT_CODE_FILE") }
