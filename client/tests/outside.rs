//! Programs as their users write them: each is compiled in an empty crate, with the dependencies that the README names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the client is a folder of the repository")
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the repository")
}

/// The blocks of a document in a language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let parts = document.split("\n```").skip(1).step_by(2);
    parts
        .filter_map(|block| {
            let (title, code) = block.split_once('\n')?;
            (title.split(',').next() == Some(language)).then_some(code)
        })
        .collect()
}

/// The Rust files of a folder and the folders in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Sessions are a draft, which counts in milliseconds as its frames do.
#[test]
fn no_public_field_counts_in_milliseconds() {
    let mut wrong = Vec::new();
    for folder in ["client/src", "protocol/src"] {
        for file in sources(&root().join(folder)) {
            if file.components().any(|part| part.as_os_str() == "session") {
                continue;
            }
            let text = fs::read_to_string(&file).expect("a file of the repository");
            let mut before = "";
            for line in text.lines().map(str::trim) {
                let field = line.strip_prefix("pub ").unwrap_or(line);
                let is_type = field.ends_with(": u64,") || field.ends_with(": Option<u64>,");
                let name = field.split(':').next().unwrap_or_default();
                let counts = name.ends_with("_ms") || name == "millis";
                if is_type && counts && before != "#[doc(hidden)]" {
                    wrong.push(format!("{}: {line}", file.display()));
                }
                before = line;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The crates that are checked at the same time have names of their own, and share what they depend on.
fn check(name: &str, dependencies: &str, program: &str) -> Output {
    let root = root();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("outside")
        .join(name);
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n{dependencies}\n\n\
         [patch.crates-io]\nsteady-socket.path = {:?}\nsteady-socket-protocol.path = {:?}\n\n\
         [workspace]\n",
        root.join("client"),
        root.join("protocol"),
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    fs::write(folder.join("src/lib.rs"), program).expect("a program");
    // The versions of the repository, which are there without a network.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
    Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet"])
        .current_dir(&folder)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside/target"),
        )
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo")
}

fn compiles(name: &str, dependencies: &str, program: &str) {
    let output = check(name, dependencies, program);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
}

#[test]
fn the_programs_of_the_readmes_compile_with_the_dependencies_beside_them() {
    for (name, path) in [
        ("readme", "README.md"),
        ("readme-of-crate", "client/README.md"),
    ] {
        let document = read(path);
        let [dependencies] = blocks(&document, "toml")[..] else {
            panic!("{path} has several blocks of dependencies");
        };
        // The text says which feature the example of a session needs.
        let dependencies = dependencies.replace(
            "steady-socket = \"0.1\"",
            "steady-socket = { version = \"0.1\", features = [\"session\"] }",
        );
        let programs = blocks(&document, "rust");
        assert!(!programs.is_empty(), "{path}");
        // Each in a module, as each begins with its own imports.
        let program: String = programs
            .iter()
            .enumerate()
            .map(|(number, program)| format!("pub mod example_{number} {{\n{program}\n}}\n"))
            .collect();
        let program = program.replace("\nasync fn ", "\npub async fn ");
        compiles(
            name,
            &dependencies,
            &format!("#![deny(warnings)]\n{program}"),
        );
    }
}

/// The dependencies of a program with messages of its own.
const WITH_SERDE: &str = "[dependencies]\nsteady-socket = \"0.1\"\n\
                          serde = { version = \"1\", features = [\"derive\"] }";

#[test]
fn a_program_with_its_own_messages_compiles() {
    let program = r#"
        use serde::{Deserialize, Serialize};
        use steady_socket::{Json, Offers, endpoint};

        #[derive(Serialize, Deserialize)]
        pub struct Question(pub String);

        #[derive(Serialize, Deserialize)]
        pub struct Answer(pub String);

        endpoint! {
            /// Answers questions.
            pub Questions at "/questions" {
                client: Question,
                server: Answer,
                "questions.json" => Json,
            }
        }

        pub async fn ask() -> Result<(), Box<dyn std::error::Error>> {
            let _ = <Questions as Offers<Json>>::SUBPROTOCOL;
            let mut socket = endpoint::<Questions, Json>("wss://example.org")
                .on_open(|opening| {
                    let _ = opening.handle().try_send(Question("first".into()));
                })
                .connect()?;
            socket.send(&Question("why".into())).await?;
            Ok(())
        }
    "#;
    compiles("own-messages", WITH_SERDE, program);
}

#[test]
fn a_mistake_with_types_gets_an_error_that_says_what_is_wrong() {
    let cases = [
        (
            "without-serde",
            "pub struct Question(pub String);
             pub fn connect() {
                 let _ = steady_socket::Socket::<Question, String, steady_socket::Json>::connect(\"\");
             }",
            &["Question: serde", "Serialize"][..],
        ),
        (
            "wrong-codec",
            "pub fn connect() {
                 let _ = steady_socket::Socket::<u32, String, steady_socket::PlainText>::connect(\"\");
             }",
            &["the codec `PlainText` cannot write `u32`"][..],
        ),
        (
            "wrong-message",
            "pub fn send(handle: &steady_socket::Handle<String, steady_socket::Json>) {
                 let _ = handle.try_send(5_u32);
             }",
            &["`u32` is not a message of this socket, which sends `String`"][..],
        ),
        (
            "opening-of-another-type",
            "pub fn connect(builder: steady_socket::Builder<u32, u32, steady_socket::Json>) {
                 let _ = builder.on_open(|opening| { let _ = opening.handle().try_send(\"text\"); });
             }",
            &["`&str` is not a message of this socket, which sends `u32`"][..],
        ),
    ];
    for (name, program, texts) in cases {
        let output = check(name, WITH_SERDE, program);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} compiles");
        for text in texts {
            assert!(errors.contains(text), "{name}: {errors}");
        }
    }
}
