//! What `config_exec` prints, read as the runner reads it (C3 to C7).

use super::json_scan::{self, Json};

/// `driver` in the output of `config_exec` (C10).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriverInfo {
    /// Name of the driver.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// The output of `config_exec`; `None` means: not given (C4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigOutput {
    /// Who the driver is.
    pub driver: Option<DriverInfo>,
    /// Name of the machine (C8).
    pub hostname: Option<String>,
    /// Builds directory instead of the configured one; empty is a value too (C7).
    pub builds_dir: Option<String>,
    /// Cache directory instead of the configured one; empty is a value too (C7).
    pub cache_dir: Option<String>,
    /// Whether jobs share the builds directory (C9).
    pub builds_dir_is_shared: Option<bool>,
    /// Environment of later calls, in the order of first appearance (C11).
    pub job_env: Option<Vec<(String, String)>>,
    /// Shell instead of the configured one; empty means the platform's default (C7).
    pub shell: Option<String>,
}

/// Reads the output. `None`: there was none, which is fine (C3). The error is Go's text; the runner puts
/// `error while parsing JSON output: ` before it (C6).
pub fn parse(bytes: &[u8]) -> Result<Option<ConfigOutput>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader {
        output: ConfigOutput::default(),
        error: None,
    };
    match json_scan::parse(bytes)? {
        Json::Null => {}
        Json::Object(members) => members
            .into_iter()
            .for_each(|(key, value)| reader.member(&key, value)),
        other => {
            return Err(format!(
                "json: cannot unmarshal {} into Go value of type custom.ConfigExecOutput",
                other.kind()
            ));
        }
    }
    match reader.error {
        Some(error) => Err(error),
        None => Ok(Some(reader.output)),
    }
}

/// Fills the output; Go reads on after a wrong type and reports the first one.
struct Reader {
    output: ConfigOutput,
    error: Option<String>,
}

impl Reader {
    fn member(&mut self, key: &str, value: Json) {
        match fold(key).as_str() {
            "driver" => self.driver(value),
            "hostname" => self.output.hostname = self.text("hostname", value),
            "builds_dir" => self.output.builds_dir = self.text("builds_dir", value),
            "cache_dir" => self.output.cache_dir = self.text("cache_dir", value),
            "shell" => self.output.shell = self.text("shell", value),
            "job_env" => self.job_env(value),
            "builds_dir_is_shared" => {
                self.output.builds_dir_is_shared = match value {
                    Json::Null => None,
                    Json::Bool(shared) => Some(shared),
                    other => {
                        self.wrong_type("ConfigExecOutput", "builds_dir_is_shared", &other, "bool");
                        None
                    }
                };
            }
            _ => {}
        }
    }

    fn wrong_type(&mut self, structure: &str, field: &str, value: &Json, wanted: &str) {
        self.error.get_or_insert_with(|| {
            format!(
                "json: cannot unmarshal {} into Go struct field {structure}.ConfigExecOutput.{field} of type {wanted}",
                value.kind()
            )
        });
    }

    fn text(&mut self, field: &str, value: Json) -> Option<String> {
        self.text_in("ConfigExecOutput", field, value)
    }

    fn text_in(&mut self, structure: &str, field: &str, value: Json) -> Option<String> {
        match value {
            Json::Null => None,
            Json::Text(text) => Some(text),
            other => {
                self.wrong_type(structure, field, &other, "string");
                None
            }
        }
    }

    fn driver(&mut self, value: Json) {
        let members = match value {
            Json::Null => {
                self.output.driver = None;
                return;
            }
            Json::Object(members) => members,
            other => {
                self.wrong_type("ConfigExecOutput", "driver", &other, "api.DriverInfo");
                return;
            }
        };
        let mut driver = self.output.driver.take().unwrap_or_default();
        for (key, value) in members {
            match fold(&key).as_str() {
                "name" => driver.name = self.text_in("DriverInfo", "driver.name", value),
                "version" => driver.version = self.text_in("DriverInfo", "driver.version", value),
                _ => {}
            }
        }
        self.output.driver = Some(driver);
    }

    fn job_env(&mut self, value: Json) {
        let members = match value {
            Json::Null => {
                self.output.job_env = None;
                return;
            }
            Json::Object(members) => members,
            other => {
                self.wrong_type("ConfigExecOutput", "job_env", &other, "map[string]string");
                return;
            }
        };
        let mut entries = self.output.job_env.take().unwrap_or_default();
        for (key, value) in members {
            let text = match value {
                Json::Null => String::new(),
                other => self.text("job_env", other).unwrap_or_default(),
            };
            match entries.iter_mut().find(|(present, _)| *present == key) {
                Some(entry) => entry.1 = text,
                None => entries.push((key, text)),
            }
        }
        self.output.job_env = Some(entries);
    }
}

/// Go compares keys without regard to case, two odd letters included that fold to ASCII ones.
fn fold(key: &str) -> String {
    key.chars()
        .map(|character| match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    fn output(text: &str) -> ConfigOutput {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn nothing_and_null_are_accepted() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(output(" null\n"), ConfigOutput::default());
        assert_eq!(
            output(r#"{"unknown":[1,{"a":"b"}],"hostname":null}"#),
            ConfigOutput::default()
        );
    }

    #[test]
    fn syntax_errors_are_those_of_go() {
        assert_eq!(error("\n"), "unexpected end of JSON input");
        assert_eq!(
            error("hello"),
            "invalid character 'h' looking for beginning of value"
        );
        assert_eq!(
            error("\u{feff}{}"),
            "invalid character 'ï' looking for beginning of value"
        );
        assert_eq!(
            error("{} done"),
            "invalid character 'd' after top-level value"
        );
        assert_eq!(
            error("{\"a\":1,}"),
            "invalid character '}' looking for beginning of object key string"
        );
        assert_eq!(
            error("tru"),
            "invalid character ' ' in literal true (expecting 'e')"
        );
        assert_eq!(error("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(
            error("{'a':1}"),
            r"invalid character '\'' looking for beginning of object key string"
        );
        assert_eq!(
            error("{\"a\":\"\n\"}"),
            r"invalid character '\n' in string literal"
        );
        assert_eq!(error("[1 2]"), "invalid character '2' after array element");
        assert_eq!(error("-"), "invalid character ' ' in numeric literal");
        assert_eq!(error("01"), "invalid character '1' after top-level value");
    }

    #[test]
    fn type_errors_are_those_of_go() {
        assert_eq!(
            error("[]"),
            "json: cannot unmarshal array into Go value of type custom.ConfigExecOutput"
        );
        assert_eq!(
            error(r#"{"builds_dir_is_shared":"true"}"#),
            "json: cannot unmarshal string into Go struct field ConfigExecOutput.ConfigExecOutput.builds_dir_is_shared of type bool"
        );
        assert_eq!(
            error(r#"{"driver":{"name":1},"shell":2}"#),
            "json: cannot unmarshal number into Go struct field DriverInfo.ConfigExecOutput.driver.name of type string"
        );
        assert_eq!(
            error(r#"{"job_env":{"A":true}}"#),
            "json: cannot unmarshal bool into Go struct field ConfigExecOutput.ConfigExecOutput.job_env of type string"
        );
    }

    #[test]
    fn duplicates_merge_and_keys_ignore_case() {
        let output = output(
            r#"{"Builds_DIR":"/a","builds_dir":"/b","job_env":{"A":"1","B":null},"JOB_ENV":{"A":"2"},
                "driver":{"name":"n"},"driver":{"version":"v"}}"#,
        );
        assert_eq!(output.builds_dir.as_deref(), Some("/b"));
        assert_eq!(
            output.job_env.unwrap(),
            [
                ("A".to_owned(), "2".to_owned()),
                ("B".to_owned(), String::new())
            ]
        );
        let driver = output.driver.unwrap();
        assert_eq!(
            (driver.name.as_deref(), driver.version.as_deref()),
            (Some("n"), Some("v"))
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_replaced_byte_by_byte() {
        let output = parse(b"{\"hostname\":\"a\xe2\x82b\\ud800\\u0041\\ud83d\\ude00\"}")
            .unwrap()
            .unwrap();
        assert_eq!(
            output.hostname.as_deref(),
            Some("a\u{fffd}\u{fffd}b\u{fffd}A\u{1f600}")
        );
    }
}
