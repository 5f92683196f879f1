//! Writes scripts for bash and sh, word for word as the runner does (E17).

use std::fmt::Write as _;

use super::escape;
use crate::contract::build::Build;
use crate::contract::go_path;
use crate::contract::go_text::quote;
use crate::contract::variables::Variable;

/// Ends colours; also the start of plain messages.
pub(super) const ANSI_RESET: &str = "\u{1b}[0;m";
const ANSI_BOLD_GREEN: &str = "\u{1b}[32;1m";
const ANSI_YELLOW: &str = "\u{1b}[0;33m";
const ANSI_CLEAR: &str = "\u{1b}[0K";

/// Keeps a TERM from killing the shell itself, which would make it print the script.
const EXIT_ON_TERM: &str = "trap 'exit 1' TERM";

/// Git's credential helper that takes the password from the environment.
const CREDENTIAL_HELPER: &str =
    r#"!f(){ if [ "$1" = "get" ] ; then echo "password=${CI_JOB_TOKEN}" ; fi ; } ; f"#;

/// What of a job shapes the frame and the quoting of its scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameOptions {
    /// `CI_DEBUG_TRACE`: the shell prints each command.
    pub trace: bool,
    /// `FF_USE_LEGACY_BASH_EVAL`: a pipeline instead of a subshell.
    pub legacy_eval: bool,
    /// `FF_POSIXLY_CORRECT_ESCAPES`
    pub posix_escapes: bool,
}

/// The runner's frame around a script body for bash or sh (E17).
pub(super) fn frame(shell: &str, body: &str, options: FrameOptions) -> String {
    let escaped = if options.posix_escapes {
        escape::posix(body)
    } else {
        escape::ansi_c(body)
    };
    let mut script = String::with_capacity(escaped.len() + 256);
    let _ = write!(script, "#!/usr/bin/env {shell}\n\n{EXIT_ON_TERM}\n\n");
    if options.trace {
        script.push_str("set -o xtrace\n");
    }
    script
        .push_str("case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac; set -o errexit\n");
    script.push_str("set +o noclobber\n");
    if options.legacy_eval {
        let _ = writeln!(script, ": | eval {escaped}");
    } else {
        let _ = writeln!(script, "({EXIT_ON_TERM}; eval {escaped}) < /dev/null");
    }
    script.push_str("exit 0\n");
    script
}

/// Collects the lines of a script body.
pub(super) struct BashWriter {
    body: String,
    temporary_dir: String,
    indent: usize,
    checks_errors: bool,
    posix_escapes: bool,
}

impl BashWriter {
    /// An empty body for a job.
    pub(super) fn new(build: &Build) -> Self {
        Self {
            body: String::with_capacity(8 * 1024),
            temporary_dir: build.temporary_dir(),
            indent: 0,
            checks_errors: build.feature("FF_ENABLE_BASH_EXIT_CODE_CHECK"),
            posix_escapes: build.feature("FF_POSIXLY_CORRECT_ESCAPES"),
        }
    }

    /// The body.
    pub(super) fn into_body(self) -> String {
        self.body
    }

    /// Whole lines from another body; only where nothing is indented.
    pub(super) fn insert(&mut self, lines: &str) {
        debug_assert_eq!(self.indent, 0, "the lines have no indent");
        self.body.push_str(lines);
    }

    /// A line of shell text, indented.
    pub(super) fn line(&mut self, text: &str) {
        for _ in 0..self.indent {
            self.body.push_str("  ");
        }
        self.body.push_str(text);
        self.body.push('\n');
    }

    /// After a command: leave if it failed, where the shell's own check is not trusted.
    pub(super) fn check_errors(&mut self) {
        if self.checks_errors {
            self.line("_runner_exit_code=$?; if [ $_runner_exit_code -ne 0 ]; then exit $_runner_exit_code; fi");
        }
    }

    fn escape(&self, word: &str) -> String {
        if self.posix_escapes {
            escape::posix(word)
        } else {
            escape::ansi_c(word)
        }
    }

    fn escaped_command(&self, command: &str, arguments: &[&str]) -> String {
        let mut line = self.escape(command);
        for argument in arguments {
            line.push(' ');
            line.push_str(&self.escape(argument));
        }
        line
    }

    /// A command whose arguments are in double quotes, so that the shell expands variables in them.
    fn expanding_command(&self, command: &str, arguments: &[&str]) -> String {
        let mut line = self.escape(command);
        for argument in arguments {
            let _ = write!(line, " \"{argument}\"");
        }
        line
    }

    /// A command with its words taken literally.
    pub(super) fn command(&mut self, command: &str, arguments: &[&str]) {
        let line = self.escaped_command(command, arguments);
        self.line(&line);
        self.check_errors();
    }

    /// A command in whose arguments the shell expands variables.
    pub(super) fn command_expanding(&mut self, command: &str, arguments: &[&str]) {
        let line = self.expanding_command(command, arguments);
        self.line(&line);
        self.check_errors();
    }

    /// A command that gets a text on its standard input and may fail.
    pub(super) fn command_with_input(&mut self, input: &str, command: &str, arguments: &[&str]) {
        let producer = self.escaped_command("echo", &[input]);
        let consumer = self.escaped_command(command, arguments);
        self.line(&format!("{producer} | {consumer} || true"));
    }

    /// Makes git take the job token from the environment (`FF_GIT_URLS_WITHOUT_TOKENS`).
    pub(super) fn credential_helper(&mut self, file: &str, section: &str, user: &str) {
        let helper = self.escape(&format!("{section}.helper"));
        let name = self.escape(&format!("{section}.username"));
        let program = self.escape(CREDENTIAL_HELPER);
        self.line(&format!(
            "git config -f \"{file}\" --replace-all {helper} \"\" && git config -f \"{file}\" --add {helper} {program} \
             && git config -f \"{file}\" {name} {user}"
        ));
        self.check_errors();
    }

    /// A path below the temporary project directory; relative ones get `$PWD` before them.
    pub(super) fn temporary_file(&self, name: &str) -> String {
        absolute(&go_path::join(&[&self.temporary_dir, name]))
    }

    /// Exports a variable; a file variable is written to its file first.
    pub(super) fn variable(&mut self, variable: &Variable) {
        let key = self.escape(&variable.key);
        if variable.file {
            let file = quote(&self.temporary_file(&variable.key));
            self.make_temporary_dir();
            let value = self.escape(&variable.value);
            self.line(&format!("printf '%s' {value} > {file}"));
            self.line(&format!("export {key}={file}"));
            return;
        }
        let value = if variable.value.starts_with(&self.temporary_dir) {
            self.escape(&absolute(&variable.value))
        } else {
            self.escape(&variable.value)
        };
        self.line(&format!("export {key}={value}"));
    }

    /// Exports a variable of the script itself.
    pub(super) fn export(&mut self, key: &str, value: &str) {
        self.variable(&Variable::new(key, value));
    }

    /// Exports a variable whose value the shell expands.
    pub(super) fn export_expanding(&mut self, name: &str, value: &str) {
        let name = self.escape(name);
        self.line(&format!("export {name}=\"{value}\""));
    }

    fn make_temporary_dir(&mut self) {
        let dir = quote(&go_path::to_slash(&self.temporary_dir));
        self.line(&format!("mkdir -p {dir}"));
    }

    /// Writes a file with `KEY="value"` lines below the temporary project directory and gives its path.
    pub(super) fn dotenv_file(&mut self, name: &str, variables: &[(&str, &str)]) -> String {
        let file = self.temporary_file(name);
        let mut text = format!("cat << EOF > {file}\n");
        for (key, value) in variables {
            let escaped = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
                .replace('\r', "\\r");
            let _ = writeln!(text, "{key}=\"{escaped}\"");
        }
        text.push_str("EOF\n");
        self.line(&text);
        file
    }

    /// Exports what earlier stages wrote into an environment file.
    pub(super) fn source_environment(&mut self, file: &str) {
        self.make_temporary_dir();
        let file = quote(file);
        self.line(&format!("touch {file}"));
        self.line(&format!(
            "while read -r line; do export \"$line\"; done < {file}"
        ));
    }

    fn open_if(&mut self, condition: &str) {
        self.line(&format!("if {condition}; then"));
        self.indent += 1;
    }

    /// `if` the directory exists.
    pub(super) fn if_directory(&mut self, path: &str) {
        self.open_if(&format!("[ -d {} ]", quote(path)));
    }

    /// `if` the path exists.
    pub(super) fn if_file(&mut self, path: &str) {
        self.open_if(&format!("[ -e {} ]", quote(path)));
    }

    /// `if` the file can be read.
    pub(super) fn if_readable(&mut self, path: &str) {
        self.open_if(&format!("[ -r {} ]", quote(path)));
    }

    /// `if` a command succeeds, unheard.
    pub(super) fn if_command(&mut self, command: &str, arguments: &[&str]) {
        let line = self.escaped_command(command, arguments);
        self.open_if(&format!("{line} >/dev/null 2>&1 "));
    }

    /// `if` a command succeeds; its output is seen.
    pub(super) fn if_command_with_output(&mut self, command: &str, arguments: &[&str]) {
        let line = self.escaped_command(command, arguments);
        self.open_if(&format!("{line} "));
    }

    /// `if` a command succeeds in whose arguments the shell expands variables.
    pub(super) fn if_command_expanding(&mut self, command: &str, arguments: &[&str]) {
        let line = self.expanding_command(command, arguments);
        self.open_if(&format!("{line} "));
    }

    /// `if` git is new enough.
    pub(super) fn if_git_at_least(&mut self, version: &str) {
        self.line("current_ver=\"$(git version|cut -d ' ' -f 3)\"");
        self.line(&format!("required_ver={}", quote(version)));
        self.line(
            r#"minimum_ver="$(printf '%s\n%s' "$required_ver" "$current_ver" | sort -t '.' -k 1,1n -k 2,2n -k 3,3n | sed -n '1p')""#,
        );
        self.line("if [ \"$minimum_ver\" = \"$required_ver\" ]; then");
        self.plain(&format!("Git version at least {}", quote(version)));
        self.indent += 1;
    }

    /// `else`
    pub(super) fn otherwise(&mut self) {
        self.indent -= 1;
        self.line("else");
        self.indent += 1;
    }

    /// `fi`
    pub(super) fn end_if(&mut self) {
        self.indent -= 1;
        self.line("fi");
    }

    /// Changes the directory.
    pub(super) fn change_dir(&mut self, path: &str) {
        self.command("cd", &[path]);
    }

    /// Makes a directory with its parents.
    pub(super) fn make_dir(&mut self, path: &str) {
        self.command("mkdir", &["-p", path]);
    }

    /// Makes a directory below the temporary project directory and gives its path.
    pub(super) fn make_temporary_subdir(&mut self, name: &str) -> String {
        let path = go_path::join(&[&self.temporary_dir, name]);
        self.make_dir(&path);
        path
    }

    /// Removes a directory, whatever the modes in it are.
    pub(super) fn remove_dir(&mut self, path: &str) {
        self.if_directory(path);
        self.command_expanding("chmod", &["-R", "u+rwX", path]);
        self.end_if();
        self.command_expanding("rm", &["-r", "-f", path]);
    }

    /// Removes a file.
    pub(super) fn remove_file(&mut self, path: &str) {
        self.command_expanding("rm", &["-f", path]);
    }

    /// Removes all files of that name below a directory.
    pub(super) fn remove_files_below(&mut self, path: &str, name: &str) {
        self.find_below(path, name, "-type f -exec rm -f {}");
    }

    /// Removes all directories of that name below a directory.
    pub(super) fn remove_dirs_below(&mut self, path: &str, name: &str) {
        self.find_below(path, name, "-type d -depth -exec rm -rf -- {}");
    }

    fn find_below(&mut self, path: &str, name: &str, action: &str) {
        self.if_directory(path);
        let (path, name) = (quote(path), quote(name));
        self.line(&format!(
            "et='+' ; find /dev/null -exec true {{}} + 2>/dev/null || et=';' ; find {path} -name {name} {action} \"${{et}}\""
        ));
        self.end_if();
    }

    fn print(&mut self, text: &str) {
        let text = self.escape(text);
        self.line(&format!("echo {text}"));
    }

    /// Prints a message without colour.
    pub(super) fn plain(&mut self, message: &str) {
        self.print(&format!("{ANSI_RESET}{message}"));
    }

    /// Prints a green message.
    pub(super) fn notice(&mut self, message: &str) {
        self.print(&format!("{ANSI_BOLD_GREEN}{message}{ANSI_RESET}"));
    }

    /// Prints a yellow message.
    pub(super) fn warning(&mut self, message: &str) {
        self.print(&format!("{ANSI_YELLOW}{message}{ANSI_RESET}"));
    }

    /// Prints an empty line.
    pub(super) fn empty_line(&mut self) {
        self.line("echo");
    }

    /// Prints a collapsed, empty section whose heading is the command.
    pub(super) fn command_section(&mut self, id: &str, command: &str) {
        let heading = self.escape(&format!("{ANSI_BOLD_GREEN}$ {command}{ANSI_RESET}"));
        let moment = "$(awk 'BEGIN{srand(); print srand()}')";
        self.line(&format!(
            "printf '%b\\n' section_start:{moment}:section_{id}[hide_duration=true,collapsed=true]\r{ANSI_CLEAR}{heading}"
        ));
        self.line(&format!(
            "printf '%b\\n' section_end:{moment}:section_{id}\r{ANSI_CLEAR}"
        ));
    }
}

/// A path that does not depend on later changes of the directory.
fn absolute(path: &str) -> String {
    if go_path::is_absolute(path) || path.starts_with("$PWD") {
        return path.to_owned();
    }
    go_path::join(&["$PWD", path])
}
