//! Pipelines as GitLab reads them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::contract::payload::JobPayload;
use crate::driver::{Problem, SourceFile};

use super::{PipelineJob, Sources, job};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: PathBuf::from(path),
        text: text.into(),
    }
}

fn read(text: &str, name: Option<&str>) -> Result<PipelineJob, Problem> {
    let no_files = |path: &str| Err(Problem::new(format!("{path} is not there"), "write it"));
    job(file(".gitlab-ci.yml", text), name, None, &no_files)
}

fn payload(text: &str) -> Value {
    let job = read(text, None).expect("a pipeline with one job");
    let payload = JobPayload::from_value(job.payload.clone());
    payload.expect("a payload that the runner understands");
    job.payload
}

fn script(text: &str) -> Value {
    payload(text)["steps"][0]["script"].clone()
}

fn value(payload: &Value, key: &str) -> Option<String> {
    let variables = payload["variables"].as_array().expect("a list");
    let named = variables
        .iter()
        .rev()
        .find(|variable| variable["key"] == key)?;
    Some(named["value"].as_str().expect("text").to_owned())
}

#[test]
fn the_script_follows_what_comes_before_it_and_lists_inside_of_it_are_spread() {
    let text = "build:\n  before_script: first\n  script:\n    - second\n    - [third, [fourth]]\n  after_script: [last]\n";
    let steps = &payload(text)["steps"];
    assert_eq!(
        steps[0]["script"],
        json!(["first", "second", "third", "fourth"])
    );
    assert_eq!(steps[1]["name"], "after_script");
    assert_eq!(steps[1]["script"], json!(["last"]));
}

#[test]
fn a_job_takes_tables_of_what_it_extends_key_by_key_and_lists_whole() {
    let text = "
.first: { variables: { A: '1', B: '1' }, script: [one] }
.second: { variables: { B: '2' }, script: [two] }
build:
  extends: [.first, .second]
  variables: { C: '3' }
";
    let payload = payload(text);
    assert_eq!(payload["steps"][0]["script"], json!(["two"]));
    let value = |key| value(&payload, key);
    assert_eq!(value("A").as_deref(), Some("1"));
    assert_eq!(value("B").as_deref(), Some("2"));
    assert_eq!(value("C").as_deref(), Some("3"));
}

#[test]
fn references_name_keys_of_other_jobs_also_what_these_have_extended() {
    let text = "
.base: { script: [one, two] }
.setup: { extends: .base }
build:
  script:
    - !reference [.setup, script]
    - three
";
    assert_eq!(script(text), json!(["one", "two", "three"]));
}

#[test]
fn anchors_and_merge_keys_are_yaml() {
    let text = "
.base: &base { script: [from base], image: alpine:3 }
build:
  <<: *base
  script: &again [own]
  after_script: *again
";
    let payload = payload(text);
    assert_eq!(payload["image"]["name"], "alpine:3");
    assert_eq!(payload["steps"][0]["script"], json!(["own"]));
    assert_eq!(payload["steps"][1]["script"], json!(["own"]));
}

#[test]
fn defaults_are_for_what_a_job_does_not_say_unless_it_refuses_them() {
    let text = |inherit: &str| {
        format!(
            "default: {{ image: alpine:3, before_script: [first], timeout: 10 minutes }}\n\
             variables: {{ A: '1', B: '1' }}\n\
             build: {{ script: [own], {inherit} }}\n"
        )
    };
    let all = payload(&text("image: debian"));
    assert_eq!(all["image"]["name"], "debian");
    assert_eq!(all["steps"][0]["script"], json!(["first", "own"]));
    assert_eq!(all["runner_info"]["timeout"], 600);
    let some = payload(&text("inherit: { default: [image], variables: [B] }"));
    assert_eq!(some["image"]["name"], "alpine:3");
    assert_eq!(some["steps"][0]["script"], json!(["own"]));
    assert_eq!(value(&some, "A"), None);
    assert_eq!(value(&some, "B").as_deref(), Some("1"));
    let nothing = payload(&text("inherit: { default: false, variables: false }"));
    assert_eq!(nothing["image"], Value::Null);
    assert_eq!(value(&nothing, "B"), None);
}

#[test]
fn included_files_lie_below_and_foreign_ones_are_told() {
    let text = "include: [{ local: /ci/a.yml }, { project: other/project, file: b.yml }]\nbuild: { extends: .a, image: own }\n";
    let read_local = |path: &str| {
        assert_eq!(path, "ci/a.yml");
        Ok(file(
            "ci/a.yml",
            ".a: { script: [from a], image: a }\nbuild: { tags: [x] }\n",
        ))
    };
    let job = job(file(".gitlab-ci.yml", text), None, None, &read_local).expect("one job");
    assert_eq!(job.payload["steps"][0]["script"], json!(["from a"]));
    assert_eq!(job.payload["image"]["name"], "own");
    assert_eq!(job.notes.len(), 1);
    assert!(
        job.notes[0].line().starts_with(".gitlab-ci.yml:1:"),
        "{}",
        job.notes[0]
    );
}

#[test]
fn what_may_stand_in_files_that_are_not_read_stops_no_job() {
    let text = "
include: [{ template: Jobs/Build.gitlab-ci.yml }]
build:
  extends: [.of-template, .own]
  before_script: [!reference [.of-template, before_script]]
.own: { script: [make] }
";
    let job = read(text, None).expect("one job");
    assert_eq!(job.payload["steps"][0]["script"], json!(["make"]));
    assert_eq!(job.notes.len(), 1);
}

#[test]
fn what_only_gitlab_reads_is_not_looked_at() {
    let text = "build: { script: [make], rules: [!reference [.nowhere, rules]] }\n";
    assert_eq!(script(text), json!(["make"]));
}

#[test]
fn lists_at_the_top_can_be_referred_to() {
    let text = ".lines: [one, two]\nbuild: { script: [!reference [.lines], three] }\n";
    assert_eq!(script(text), json!(["one", "two", "three"]));
}

#[test]
fn images_services_caches_and_artifacts_come_in_the_form_of_the_api() {
    let text = "
build:
  script: [make]
  image: { name: 'alpine:3', entrypoint: [''], docker: { user: dave } }
  services: [postgres:17, { name: redis, alias: store, variables: { A: b } }]
  cache: [{ key: k, paths: [target], policy: pull }, { key: { files: [go.sum] }, paths: [vendor] }]
  artifacts: { paths: [out], expire_in: 1 week, reports: { junit: report.xml } }
  hooks: { pre_get_sources_script: [hook] }
";
    let payload = payload(text);
    assert_eq!(payload["image"]["executor_opts"]["docker"]["user"], "dave");
    assert_eq!(payload["services"][0]["name"], "postgres:17");
    assert_eq!(payload["services"][1]["alias"], "store");
    assert_eq!(payload["cache"][0]["key"], "k-non_protected");
    assert_eq!(payload["cache"][0]["policy"], "pull");
    assert_eq!(payload["cache"][1]["paths"], json!(["vendor"]));
    assert_eq!(payload["artifacts"][0]["artifact_format"], "zip");
    assert_eq!(payload["artifacts"][1]["artifact_format"], "gzip");
    assert_eq!(payload["hooks"][0]["script"], json!(["hook"]));
}

#[test]
fn variables_may_be_tables() {
    let text = "variables: { A: { value: '$B', expand: false, description: x } }\nbuild: { script: [make] }\n";
    let payload = payload(text);
    let variables = payload["variables"].as_array().expect("a list");
    let a = variables
        .iter()
        .find(|variable| variable["key"] == "A")
        .expect("A");
    assert_eq!(a["value"], "$B");
    assert_eq!(a["raw"], true);
}

#[test]
fn sources_are_fetched_only_from_where_the_user_says() {
    let text = "build: { script: [make], variables: { GIT_STRATEGY: clone } }\n";
    assert_eq!(
        value(&payload(text), "GIT_STRATEGY").as_deref(),
        Some("none")
    );
    let sources = Sources {
        url: "https://git.example.com/a.git".to_owned(),
        branch: "main".to_owned(),
        commit: "1ecfd275763eff1d6b4844ea3168962458c9f27a".to_owned(),
    };
    let none = |_: &str| unreachable!("nothing is included");
    let job = job(file(".gitlab-ci.yml", text), None, Some(&sources), &none).expect("one job");
    assert_eq!(job.payload["git_info"]["repo_url"], sources.url);
    assert_eq!(
        value(&job.payload, "GIT_STRATEGY").as_deref(),
        Some("clone")
    );
    assert_eq!(
        value(&job.payload, "CI_COMMIT_SHORT_SHA").as_deref(),
        Some("1ecfd275")
    );
}

fn refusal(text: &str, name: Option<&str>) -> String {
    read(text, name).expect_err("no job").line()
}

#[test]
fn mistakes_are_told_with_their_place_and_the_remedy() {
    let told = [
        refusal("a: { script: [x] }\nb: { script: [x] }\n", None),
        refusal("build: { script: [x] }\n", Some("bulid")),
        refusal("build: { extends: .none }\n", None),
        refusal(
            "a: { extends: b, script: [x] }\nb: { extends: a }\n",
            Some("a"),
        ),
        refusal("a:\n  script:\n    - !reference [a, script]\n", None),
        refusal("a:\n  script:\n    - echo note: this\n", None),
        refusal("a: { script: [x], timeout: soon }\n", None),
        refusal("a: { trigger: other/project }\n", None),
        refusal("a: { tags: [x] }\n", None),
        refusal("a: [\n", None),
        refusal("- a\n", None),
        refusal(".a: { script: [x] }\n", None),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn aliases_that_stand_for_too_much_are_refused() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        let ten = vec![below; 10].join(", ");
        lines.push(format!("a{level}: &a{level} [{ten}]"));
    }
    let text = lines.join("\n");
    assert!(refusal(&text, None).contains("more than 200000 values"));
}

#[test]
fn a_file_that_includes_itself_is_refused() {
    let again = |_: &str| Ok(file("a.yml", "include: a.yml\n"));
    let refused = job(file("a.yml", "include: a.yml\n"), None, None, &again);
    assert!(
        refused
            .expect_err("endless")
            .line()
            .contains("more than 150 files")
    );
}
