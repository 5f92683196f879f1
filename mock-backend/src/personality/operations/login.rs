//! Logging in at a registry: the tool's own file of credentials, where its caller says or where it always is.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};

use crate::faults::Twists;
use crate::protocol::Reply;
use crate::runtime::world::{Refusal, reason};
use crate::session::{Answer, Scene};
use crate::wire;

use super::{Trouble, done};
use crate::personality::text::Fields;

/// Longest password, bytes.
const PASSWORD_BYTES_MAX: u64 = 1 << 20;

/// Logs in (`login`), out (with `logout`), or says as whom (with `get-login`).
pub(super) fn login(scene: &Scene<'_>, _twists: &Twists) -> Result<Answer, Trouble> {
    let parameters = scene.parameters;
    let registry = parameters
        .last("registry")
        .unwrap_or("docker.io")
        .to_owned();
    let path = file(scene)?;
    let mut known = read(&path);
    let fields = |name: &str| -> Fields {
        [
            ("registry", registry.as_str()),
            ("user", name),
            ("given", &registry),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    };
    let absent = || Refusal::new(reason::ABSENT, "login", &registry, "not logged in");
    if parameters.has("get-login") {
        let entry = known["auths"][registry.as_str()]["auth"].as_str();
        let user = entry.and_then(decoded).ok_or_else(absent)?;
        let user = user.split(':').next().unwrap_or_default();
        return Ok(Answer {
            output: format!("{user}\n").into_bytes(),
            ..Answer::default()
        });
    }
    if parameters.has("logout") {
        let auths = known["auths"].as_object_mut();
        auths
            .and_then(|auths| auths.remove(&registry))
            .ok_or_else(absent)?;
        write(&path, &known)?;
        return Ok(done(scene, &fields("")));
    }
    let user = parameters.last("user").unwrap_or_default();
    let password = if parameters.has("password-stdin") {
        standard_input(scene)?
    } else {
        parameters.last("password").unwrap_or_default().to_owned()
    };
    if user.is_empty() || password.is_empty() {
        let message = "cannot perform an interactive login from a non TTY device";
        return Err(Refusal::new(reason::PERMISSION, "login", &registry, message).into());
    }
    if !known["auths"].is_object() {
        known = json!({ "auths": {} });
    }
    known["auths"][registry.as_str()] = json!({ "auth": encoded(&format!("{user}:{password}")) });
    write(&path, &known)?;
    Ok(done(scene, &fields(user)))
}

/// Where the credentials are.
fn file(scene: &Scene<'_>) -> Result<PathBuf, Trouble> {
    let variable = |wanted: &str| {
        let mut all = scene.shim.environment.iter();
        let found = all.find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.clone())
    };
    let is_docker = scene.tool() == "docker";
    let home = variable("HOME");
    let named = scene.parameters.last("auth-file").map(str::to_owned);
    let path = if is_docker {
        let beside = variable("DOCKER_CONFIG").map(|place| format!("{place}/config.json"));
        beside.or(home.map(|home| format!("{home}/.docker/config.json")))
    } else {
        let runtime =
            variable("XDG_RUNTIME_DIR").map(|place| format!("{place}/containers/auth.json"));
        let own = home.map(|home| format!("{home}/.config/containers/auth.json"));
        named.or(variable("REGISTRY_AUTH_FILE")).or(runtime).or(own)
    };
    let path = path.ok_or_else(|| {
        Refusal::new(
            reason::PERMISSION,
            "login",
            "",
            "HOME is not set: there is no place for credentials",
        )
    })?;
    Ok(scene.shim.working_directory.join(path))
}

fn read(path: &PathBuf) -> Value {
    let text = fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Writes as the real tools do: for the owner alone.
fn write(path: &PathBuf, value: &Value) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    serde_json::to_writer_pretty(file, value)?;
    Ok(())
}

/// All that the tool's caller gives it to read.
fn standard_input(scene: &Scene<'_>) -> io::Result<String> {
    let (input, input_there) = pipe_with(PipeFlags::CLOEXEC)?;
    let (output_there, output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (errors_there, errors) = pipe_with(PipeFlags::CLOEXEC)?;
    let passed = [
        output_there.as_fd(),
        errors_there.as_fd(),
        input_there.as_fd(),
    ];
    wire::send(
        scene.client.as_fd(),
        &Reply::Proxy { stdin: true },
        b"",
        &passed,
    )?;
    drop((output_there, errors_there, input_there));
    let mut text = String::new();
    fs::File::from(input)
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut text)?;
    // Now the shim has nothing more to copy.
    drop((output, errors));
    Ok(text.trim_end_matches('\n').to_owned())
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base 64.
fn encoded(text: &str) -> String {
    let mut letters = String::new();
    for part in text.as_bytes().chunks(3) {
        let byte = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            letters.push(if index > part.len() {
                '='
            } else {
                char::from(letter)
            });
        }
    }
    letters
}

fn decoded(letters: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 255).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_written_as_tools_write_them() {
        assert_eq!(encoded("user:pass"), "dXNlcjpwYXNz");
        assert_eq!(encoded("a:"), "YTo=");
        for text in ["", "a", "ab", "abc", "gitlab-ci-token:x"] {
            assert_eq!(decoded(&encoded(text)).as_deref(), Some(text));
        }
    }
}
