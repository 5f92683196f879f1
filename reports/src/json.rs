//! The report as JSON: schema `driver-conformance/report/v1`.

use crate::model::Report;

/// The report as indented JSON with a newline at the end.
///
/// # Panics
/// Never: every type of the model has a JSON form.
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report)
        .expect("the model has only string keys and finite numbers");
    text.push('\n');
    text
}
