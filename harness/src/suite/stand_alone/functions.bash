work=$(mktemp -d) || exit 2
root=$work/case
call_pid=() stdout_reader=() stderr_reader=() environment=() argv=()
same=yes

say() { printf '    %s\n' "$*"; }

# What the runner makes for an attempt: its TMPDIR, with the job in it.
temporary_directory() { # PATH RESPONSE
    mkdir -m 700 "$1" && printf '%s' "$2" >"$1/response.json" && chmod 600 "$1/response.json"
}

# What the runner writes for a stage.
script() { # PATH TEXT
    mkdir -m 700 "${1%/*}" && printf '%s' "$2" >"$1" && chmod 700 "$1"
}

# Starts $argv with $environment and nothing else, in a process group of its own.
begin() { # NUMBER NAME DIRECTORY
    printf '%s\n' "call $1: $2"
    mkfifo "$work/$1.stdout.pipe" "$work/$1.stderr.pipe"
    cat "$work/$1.stdout.pipe" >"$work/$1.stdout" &
    stdout_reader[$1]=$!
    cat "$work/$1.stderr.pipe" >"$work/$1.stderr" &
    stderr_reader[$1]=$!
    { cd "$3" && exec env -i "${environment[@]}" "${argv[@]}"; } \
        </dev/null >"$work/$1.stdout.pipe" 2>"$work/$1.stderr.pipe" &
    call_pid[$1]=$!
}

# Waits until a text was printed by a call.
await_text() { # NUMBER TEXT
    local rounds=$((PATIENCE * 20))
    until grep -qF -- "$2" "$work/$1.stdout" "$work/$1.stderr" 2>/dev/null; do
        if [ $((rounds -= 1)) -le 0 ] || ! kill -0 "${call_pid[$1]}" 2>/dev/null; then
            say "call $1 did not print $2"
            return
        fi
        sleep 0.05
    done
}

# Lets a call go on for a while, or until it is over.
pause() { # NUMBER MILLISECONDS
    local rest=$2
    while [ "$rest" -gt 0 ] && kill -0 "${call_pid[$1]}" 2>/dev/null; do
        local step=$((rest < 20 ? rest : 20))
        sleep "0.0$((step / 10))$((step % 10))"
        rest=$((rest - step))
    done
}

# Sends a signal to the process group of a call.
signal() { # NUMBER SIGNAL
    if kill -"$2" -- "-${call_pid[$1]}" 2>/dev/null; then
        say "call $1 gets SIG$2"
    else
        say "call $1 was over before SIG$2"
    fi
}

# The runner dies: nobody reads any more what its calls print, and nobody waits for them.
runner_dies() { # NUMBER...
    local number
    say "the runner is killed"
    for number; do
        kill -KILL "${stdout_reader[$number]}" "${stderr_reader[$number]}" 2>/dev/null
    done
}

# Waits until a call is over and nobody holds its output open any more, and shows both.
await() { # NUMBER RECORDED-STATUS
    local status=0 guard
    {
        sleep "$PATIENCE"
        say "call $1 is not over after $PATIENCE s: it is killed"
        kill -KILL -- "-${call_pid[$1]}" "${stdout_reader[$1]}" "${stderr_reader[$1]}" 2>/dev/null
    } &
    guard=$!
    wait "${call_pid[$1]}" 2>/dev/null || status=$?
    wait "${stdout_reader[$1]}" "${stderr_reader[$1]}" 2>/dev/null
    kill -KILL -- "-$guard" 2>/dev/null
    wait "$guard" 2>/dev/null
    sed 's/^/    out: /' "$work/$1.stdout" | cat -v
    sed 's/^/    err: /' "$work/$1.stderr" | cat -v
    if [ "$status" -eq "$2" ]; then
        say "call $1 ends with $status, as recorded"
    else
        say "call $1 ends with $status; recorded was $2"
        same=no
    fi
}

processes_left() {
    grep -slzF "$root/" /proc/[0-9]*/environ | cut -d / -f 3
}

files() {
    (cd "$root" && find . -mindepth 1 -name 'custom-executor*' -prune -o -print) 2>/dev/null | LC_ALL=C sort
}

# Shows what is left, and compares whether something is.
conclude() { # FILES-RECORDED PROCESSES-RECORDED
    local rounds=10 left pid
    while [ -n "$(processes_left)" ] && [ $((rounds -= 1)) -gt 0 ]; do sleep 0.1; done
    left=$(files | LC_ALL=C comm -13 "$work/before" -)
    [ -z "$left" ] || sed 's/^/left behind: /' <<<"$left"
    [ "$([ -z "$left" ] && echo 0 || echo 1)" = "$1" ] || same=no
    left=$(processes_left)
    for pid in $left; do
        printf 'still alive: process %s: %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
    done
    [ "$([ -z "$left" ] && echo 0 || echo 1)" = "$2" ] || same=no
    if [ $same = yes ]; then
        echo "The driver did what it did when this was recorded."
    else
        echo "The driver did something else than when this was recorded."
        exit 1
    fi
}

tidy() {
    local pid
    for pid in "${stdout_reader[@]}" "${stderr_reader[@]}" $(processes_left); do
        kill -KILL "$pid" 2>/dev/null
    done
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
