//! Schemas of the formats that others define, and a strict look at ours through them.

use serde_json::Value;

/// The value of a text that must be JSON; fails with everything that the schema has against it.
pub(crate) fn valid(schema: &str, text: &str) -> Value {
    let schema: Value = serde_json::from_str(schema).expect("our own file is JSON");
    let value: Value = serde_json::from_str(text).expect("the report is JSON");
    let validator = jsonschema::draft7::new(&schema).expect("our own file is a schema");
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    value
}

#[test]
fn a_schema_is_not_content_with_anything() {
    let schema = include_str!("../schemas/codequality.json");
    let schema: Value = serde_json::from_str(schema).expect("our own file is JSON");
    let validator = jsonschema::draft7::new(&schema).expect("our own file is a schema");
    for wrong in [
        serde_json::json!({}),
        serde_json::json!([{ "description": "x" }]),
        serde_json::json!([{
            "description": "x", "check_name": "y", "fingerprint": "z", "severity": "fatal",
            "location": { "path": "p", "lines": { "begin": 1 } }
        }]),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
