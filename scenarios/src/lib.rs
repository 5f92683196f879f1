//! The scenarios of the suite as data, and their loader.
//!
//! A scenario is one flat TOML file `cases/<theme>/<name>.toml`: what job is run, what its scripts do, what happens to
//! it. Its axes multiply it into variants, and each variant becomes one case of the harness. What a driver must show is
//! not written here: it follows from the contract, and the checks know it.
//!
//! The contract itself is data as well: `contract.toml` holds it clause by clause, and [`contract`] reads it. So is the
//! [`zoo`]: good drivers, and the few edits that make a broken one of them. [`symptom`] holds what a job's logs look like
//! when something went wrong, and what it means, and [`skeleton`] the beginnings of new drivers.

pub mod contract;
mod driver_file;
pub mod error;
pub mod model;
pub mod page;
pub mod skeleton;
mod substitute;
pub mod symptom;
pub mod zoo;

use model::Scenario;

pub use error::ScenarioError;

/// A scenario file as it is embedded in the binary.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile {
    /// Path below the crate, for example `cases/run/exit-code.toml`.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All scenario files, sorted by path.
pub static FILES: &[SourceFile] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// One scenario with one value of each of its axes.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Path name: `run/exit-code/stage:build_script/code:3`.
    pub name: String,
    /// The scenario with the values put in.
    pub scenario: Scenario,
}

/// Loads every embedded scenario and multiplies it by its axes.
pub fn load() -> Result<Vec<Variant>, ScenarioError> {
    let mut variants = Vec::new();
    for file in FILES {
        variants.extend(parse(file.path, file.text)?);
    }
    Ok(variants)
}

/// Reads one scenario file and multiplies it by its axes.
pub fn parse(path: &str, text: &str) -> Result<Vec<Variant>, ScenarioError> {
    let document: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| error::line_of(text, span.start));
        ScenarioError::new(path, line, error.message(), "correct the TOML syntax")
    })?;
    let axes = substitute::axes(path, text, &document)?;
    let base = base_name(path);
    substitute::combinations(&axes)
        .into_iter()
        .map(|values| {
            let mut name = base.clone();
            for (axis, value) in &values {
                name = format!("{name}/{axis}:{}", substitute::plain(value));
            }
            let filled = substitute::fill(path, text, &document, &values)?;
            let scenario = filled.try_into::<Scenario>().map_err(|error| {
                let line = error::line_mentioning(text, error.message());
                ScenarioError::new(
                    path,
                    line,
                    error.message(),
                    "see the keys that scenarios/src/model.rs documents",
                )
            })?;
            Ok(Variant { name, scenario })
        })
        .collect()
}

/// `cases/run/exit-code.toml` → `run/exit-code`.
fn base_name(path: &str) -> String {
    let below = path.strip_prefix("cases/").unwrap_or(path);
    below.strip_suffix(".toml").unwrap_or(below).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_multiply_in_the_order_of_the_file() {
        let text = r#"
about = "Runs a script that exits with a code."
[axes]
stage = ["get_sources", "build_script"]
code = [1, 3]
[job]
[[probe]]
stage = "{stage}"
does = { exit = "{code}" }
"#;
        let variants = parse("cases/run/exit-code.toml", text).expect("valid");
        let names: Vec<&str> = variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "run/exit-code/stage:get_sources/code:1",
                "run/exit-code/stage:get_sources/code:3",
                "run/exit-code/stage:build_script/code:1",
                "run/exit-code/stage:build_script/code:3",
            ]
        );
        let last = &variants[3].scenario.probe[0];
        assert_eq!(last.stage, "build_script");
        assert_eq!(last.does.exit, Some(model::ExitValue::Code(3)));
    }

    #[test]
    fn an_error_names_file_line_and_remedy() {
        let text = "about = \"x\"\n[job]\nafter_scirpt = true\n";
        let error = parse("cases/run/typo.toml", text).expect_err("unknown key");
        let shown = error.to_string();
        assert!(shown.starts_with("cases/run/typo.toml:3: "), "{shown}");
        assert!(shown.contains("after_scirpt"), "{shown}");
        assert!(shown.contains("model.rs"), "{shown}");
    }

    #[test]
    fn a_placeholder_without_axis_is_an_error() {
        let text = "about = \"x\"\n[job]\n[[probe]]\nstage = \"{stag}\"\ndoes = {}\n";
        let error = parse("cases/run/typo.toml", text).expect_err("no such axis");
        assert!(
            error.to_string().starts_with("cases/run/typo.toml:4: "),
            "{error}"
        );
    }

    #[test]
    fn every_embedded_scenario_loads_under_a_unique_name() {
        let variants = load().expect("the embedded scenarios are valid");
        let mut names: Vec<String> = variants.into_iter().map(|variant| variant.name).collect();
        let count = names.len();
        assert!(count > 0);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
