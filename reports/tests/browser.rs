//! The page in a real browser. Where there is no chromium, this says that it was skipped.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use driver_conformance_reports::html::render;
use driver_conformance_reports::model::Report;

/// A page that was made from a real run.
const REPORT: &str = include_str!("../../docs/examples/report.json");

/// The browser, if this machine has it.
fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let version = Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            version.is_ok_and(|status| status.success())
        });
    if found.is_none() {
        // Past the test runner, which keeps what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "note: the test in a browser is left out: no chromium on this machine (Debian's package `chromium` has it)"
        );
    }
    found
}

/// The page as the browser has it after its scripts have run, and what it wrote on its console.
fn opened(browser: &str, page: &Path, home: &Path) -> (String, String) {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", home.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("it was started before");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), errors)
}

#[test]
fn a_browser_shows_the_page_with_scripts_and_without() {
    let Some(browser) = chromium() else { return };
    let report: Report = serde_json::from_str(REPORT).expect("it is the schema");
    let home = tempfile::tempdir().expect("a temporary directory can be made");
    let page = home.path().join("report.html");
    let with = render(&report);
    // The way in which the browser tells what it shows is a script itself, so that it cannot be asked to run none.
    let begin = with.find("<script>").expect("it has one");
    let end = with.find("</script>").expect("it ends") + "</script>".len();
    let without = format!("{}{}", &with[..begin], &with[end..]);
    for (text, filtered) in [(&with, true), (&without, false)] {
        std::fs::write(&page, text).expect("our own directory");
        let (shown, console) = opened(browser, &page, home.path());
        assert!(!console.contains("CONSOLE"), "{console}");
        assert_eq!(shown.contains(" shown</span>"), filtered);
        assert_eq!(
            shown.contains("id=\"tools\" hidden"),
            !filtered,
            "the filter is there only if it works"
        );
        for finding in &report.findings {
            assert!(shown.contains(&finding.check), "{}", finding.check);
        }
        assert!(shown.contains("<svg viewBox") && shown.contains("The same as text"));
    }
}
