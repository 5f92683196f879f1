//! Tests of the zoo: how animals are made, and that all of ours can be.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const GOOD: SourceFile = SourceFile {
    path: "zoo/good-box.toml",
    text: "about = \"A good one.\"\nprogram = \"box\"\n",
};

fn drivers_of_test() -> Drivers {
    let files = vec![
        DriverFile {
            path: "box".to_owned(),
            content: Content::Text {
                text: "#!/bin/sh\nexit \"$CODE\"\n".to_owned(),
                executable: true,
            },
        },
        DriverFile {
            path: "run".to_owned(),
            content: Content::Link {
                target: "box".to_owned(),
            },
        },
    ];
    Drivers::from([("good-box".to_owned(), files)])
}

fn with(text: &'static str) -> Result<Vec<Animal>, ScenarioError> {
    let broken = SourceFile {
        path: "zoo/fixed-code.toml",
        text,
    };
    assemble(&[broken, GOOD], &drivers_of_test())
}

fn complaint(text: &'static str) -> String {
    with(text).expect_err("it is wrong").to_string()
}

#[test]
fn a_broken_animal_is_an_edited_copy_of_its_base() {
    let animals = with(
        "about = \"Exits with 2.\"\nbase = \"good-box\"\n[[edit]]\nfind = '\"$CODE\"'\nreplace = '2'\n\
         [[finding]]\ncheck = \"exit-code/x\"\n",
    )
    .expect("it is right");
    assert_eq!(animals.len(), 2);
    let broken = &animals[0];
    assert_eq!(
        (broken.name.as_str(), broken.is_good()),
        ("fixed-code", false)
    );
    assert_eq!(broken.program.as_deref(), Some("box"));
    assert_eq!(broken.findings()[0].check, "exit-code/x");
    let Content::Text { text, executable } = &broken.files[0].content else {
        panic!("{:?}", broken.files)
    };
    assert!(executable);
    assert_eq!(
        text,
        "#!/bin/sh\n# Broken on purpose, a copy of good-box: Exits with 2.\nexit 2\n"
    );
    assert_eq!(broken.files[1], animals[1].files[1]);
}

#[test]
fn edits_build_on_each_other() {
    let animals = with(
        "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n[[edit]]\nafter = 'exit'\ninsert = 'never'\n\
         [[edit]]\nfind = 'never'\nreplace = 'ever'\n",
    )
    .expect("it is right");
    assert_eq!(animals[0].survives(), Some("y"));
    let Content::Text { text, .. } = &animals[0].files[0].content else {
        panic!("{:?}", animals[0].files)
    };
    assert!(text.ends_with("exit \"$CODE\"\never\n"), "{text}");
}

#[test]
fn an_edit_that_cannot_be_made_names_its_place() {
    let shown = complaint(
        "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n\n[[edit]]\nremove = 'return'\n",
    );
    assert!(
        shown.starts_with("zoo/fixed-code.toml:5: edit of `box`: the text `return` is not"),
        "{shown}"
    );
    let shown = complaint(
        "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n[[edit]]\nfile = \"run\"\nremove = 'exit'\n",
    );
    assert!(shown.contains("the base has no file `run`"), "{shown}");
    let shown = complaint(
        "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n[[edit]]\nfind = 'exit'\ninsert = 'x'\n",
    );
    assert!(shown.contains("not clear what this edit does"), "{shown}");
}

#[test]
fn a_file_that_leaves_something_out_is_an_error() {
    for (text, problem) in [
        (
            "about = \"x\"\nbase = \"good-bix\"\n",
            ":2: there is no good driver `good-bix`; choose one of good-box",
        ),
        (
            "about = \"x\"\n",
            "there is no directory drivers/fixed-code",
        ),
        (
            "about = \"x\"\nskeleton = { lang = \"bash\", backend = \"carts\" }\n",
            ":2: `init` writes no such driver",
        ),
        (
            "about = \"x\"\nsurvives = \"y\"\n",
            "a driver with a flaw has a base",
        ),
        (
            "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n",
            "nothing is broken",
        ),
        (
            "about = \"x\"\nbase = \"good-box\"\n[[edit]]\nremove = 'exit'\n",
            "it does not say what the suite must find",
        ),
        (
            "about = \"x\"\nbase = \"good-box\"\nclasses = [\"nonsense\"]\nsurvives = \"y\"\n[[edit]]\nremove = 'exit'\n",
            ":3: there is no class of bugs `nonsense`",
        ),
        (
            "about = \"x\"\nbase = \"good-box\"\nsurvives = \"y\"\n[[edit]]\nremove = 'exit'\n[[finding]]\ncheck = \"a/b\"\n",
            "a driver that survives is one in which nothing is found",
        ),
        (
            "about = \"x\"\nbaze = \"good-box\"\n",
            ":2: unknown field `baze`",
        ),
    ] {
        let shown = complaint(text);
        assert!(shown.contains(problem), "{shown}\nlacks {problem}");
    }
}

#[test]
fn every_animal_of_ours_can_be_made() {
    let animals = load().unwrap_or_else(|error| panic!("{error}"));
    assert!(animals.iter().any(Animal::is_good));
    assert!(animals.iter().any(|animal| !animal.is_good()));
}

#[test]
fn every_driver_of_ours_is_an_animal() {
    for name in drivers().keys() {
        assert!(
            by_name(name).is_some_and(Animal::is_good),
            "scenarios/zoo/{name}.toml says nothing about drivers/{name}"
        );
    }
}

#[test]
fn an_animal_is_written_with_its_modes_and_links() {
    let animal = by_name("good-bash").expect("it is there");
    let directory = std::env::temp_dir().join(format!("zoo-write-{}", std::process::id()));
    let driver = animal.write(&directory).expect("written");
    let program = directory.join("box").metadata().expect("it is there");
    let link = std::fs::read_link(directory.join("run")).expect("it is a link");
    let again = animal.write(&directory);
    std::fs::remove_dir_all(&directory).expect("our own");
    assert_eq!(driver, directory);
    assert_eq!(program.permissions().mode() & 0o777, 0o755);
    assert_eq!(link.to_str(), Some("box"));
    assert!(again.is_err(), "files that are there are not overwritten");
}
