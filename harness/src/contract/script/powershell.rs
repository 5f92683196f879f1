//! A plausible script for PowerShell: the runner's frame with exports and user commands. Drivers that offer PowerShell
//! are checked for the file name and the interpreter, not for what else the runner writes.

use std::fmt::Write as _;

use crate::contract::shell::Shell;
use crate::contract::variables::Variables;

/// The runner's frame around a script body for pwsh or powershell.
pub(super) fn frame(shell: Shell, body: &str, trace: bool) -> String {
    let trace_line = if trace { "Set-PSDebug -Trace 2\n" } else { "" };
    if shell == Shell::Pwsh {
        return format!(
            "#!/usr/bin/env pwsh\n& {{\n\n{trace_line}$ErrorActionPreference = \"Stop\"\n{body}\n}}\n\n"
        );
    }
    // Windows PowerShell takes a file without this mark for one in the code page of the machine.
    format!("\u{feff}{trace_line}{body}\n")
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\u{7}' => quoted.push_str("`a"),
            '\u{8}' => quoted.push_str("`b"),
            '\u{c}' => quoted.push_str("`f"),
            '\n' => quoted.push_str("`n"),
            '\r' => quoted.push_str("`r"),
            '\t' => quoted.push_str("`t"),
            '\u{b}' => quoted.push_str("`v"),
            '`' | '"' | '$' | '#' | '\'' => {
                quoted.push('`');
                quoted.push(character);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// The body of a stage: all variables, then the user's commands, each shown before it runs.
pub(super) fn body<'a>(
    variables: &Variables,
    project_dir: Option<&str>,
    commands: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut body = String::new();
    for variable in variables {
        let key = &variable.key;
        let _ = writeln!(
            body,
            "${{{key}}}={}\n${{env:{key}}}=${{{key}}}",
            quote(&variable.value)
        );
    }
    if let Some(dir) = project_dir {
        let _ = writeln!(
            body,
            "cd {}\nif(!$?) {{ Exit &{{if($LASTEXITCODE) {{$LASTEXITCODE}} else {{1}}}} }}\n",
            quote(dir)
        );
    }
    for command in commands {
        let command = command.trim();
        let _ = writeln!(
            body,
            "echo {}\n{command}\nif(!$?) {{ Exit &{{if($LASTEXITCODE) {{$LASTEXITCODE}} else {{1}}}} }}\n",
            quote(&format!("$ {command}"))
        );
    }
    body
}
