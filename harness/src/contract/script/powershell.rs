//! A plausible script for PowerShell: the runner's frame with exports and user commands. Drivers that offer PowerShell
//! are checked for the file name and the interpreter, not for what else the runner writes.

use crate::contract::build::Build;
use crate::contract::shell::Shell;

const CHECK: &str = "if(!$?) { Exit &{if($LASTEXITCODE) {$LASTEXITCODE} else {1}} }";

/// Windows PowerShell gets the line ends of Windows, on every platform.
fn line_end(shell: Shell) -> &'static str {
    if shell == Shell::PowerShell {
        "\r\n"
    } else {
        "\n"
    }
}

/// The runner's frame around a script body for pwsh or powershell.
pub(super) fn frame(shell: Shell, body: &str, trace: bool) -> String {
    let end = line_end(shell);
    let trace_line = if trace {
        format!("Set-PSDebug -Trace 2{end}")
    } else {
        String::new()
    };
    if shell == Shell::Pwsh {
        return format!(
            "#!/usr/bin/env pwsh{end}& {{{end}{end}{trace_line}$ErrorActionPreference = \"Stop\"{end}{body}{end}}}{end}{end}"
        );
    }
    // Windows PowerShell takes a file without this mark for one in the code page of the machine.
    format!("\u{feff}{trace_line}{body}{end}")
}

/// A text in double quotes in which nothing is expanded.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        let letter = match character {
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{b}' => 'v',
            '`' | '"' | '$' | '#' | '\'' | '“' | '”' | '„' => character,
            other => {
                quoted.push(other);
                continue;
            }
        };
        quoted.push('`');
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// What a stage's body consists of.
#[derive(Default)]
pub(super) struct Content {
    /// Print the line about the host.
    pub(super) greets: bool,
    /// Export all variables.
    pub(super) exports: bool,
    /// Change into the project directory.
    pub(super) enters_project: bool,
    /// User commands, each shown before it runs.
    pub(super) commands: Vec<String>,
}

/// The body of a stage.
pub(super) fn body(build: &Build, content: &Content) -> String {
    let mut lines = Vec::new();
    if content.greets {
        let via = match build.hostname() {
            "" => String::new(),
            hostname => format!(" via {}", quote(hostname)),
        };
        lines.push(format!(
            "echo \"Running on $([Environment]::MachineName){via}...\""
        ));
    }
    if content.exports {
        for variable in build.all_variables() {
            let key = &variable.key;
            lines.push(format!("${{{key}}}={}", quote(&variable.value)));
            lines.push(format!("${{env:{key}}}=${{{key}}}"));
        }
    }
    if content.enters_project {
        lines.extend([
            format!("cd {}", quote(&build.project_dir())),
            CHECK.to_owned(),
            String::new(),
        ]);
    }
    for command in &content.commands {
        let command = command.trim();
        lines.extend([
            format!("echo {}", quote(&format!("$ {command}"))),
            command.to_owned(),
            CHECK.to_owned(),
            String::new(),
        ]);
    }
    let end = line_end(build.shell());
    lines.into_iter().map(|line| line + end).collect()
}
