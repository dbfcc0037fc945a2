//! Checks that everything generated from Rust is up to date: the options in `js/options.js` and in the TypeScript
//! declarations, the names in `js/names.js`, and the limits in `js/limits.js`. `UPDATE=1 cargo test -p steady-socket-wasm --test generated`
//! regenerates them. Also checks that Rust names every JavaScript module.
#![cfg(not(target_family = "wasm"))]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use steady_socket::connection::{CLOSE_CODES, Cause, DropReason, Phase, Why};
use steady_socket::limits;
use steady_socket::options::{
    Kind, MAX_COUNT, MAX_MILLIS, OPTION_DOCS, OPTIONS, ORDERED, OptionSpec, Overflow, THEIR_NAMES,
};
use steady_socket::protocol::is_token;
use steady_socket_wasm::{
    COMMANDS, COUNTERS, HANDED, HINTS, QUESTIONS, READINGS, SOCKET_EVENTS, VERDICTS,
};

/// The maximum line width of the declarations.
const WIDTH: usize = 110;

/// The line width of `biome.jsonc`, beyond which the formatter writes a list in several lines.
const CODE_WIDTH: usize = 120;

#[test]
fn the_table_in_javascript_is_that_of_rust() {
    up_to_date("js/options.js", |_| table());
}

#[test]
fn the_names_in_javascript_are_those_of_rust() {
    up_to_date("js/names.js", |_| names());
}

#[test]
fn the_limits_in_javascript_are_those_of_rust() {
    up_to_date("js/limits.js", |_| limits());
}

#[test]
fn the_declarations_have_the_options_of_rust() {
    up_to_date("../client/src/declarations.d.ts", |present| {
        let (before, rest) = present
            .split_once(BEGIN)
            .expect("a mark where the options begin");
        let (_, after) = rest.split_once(END).expect("a mark where they end");
        format!("{before}{BEGIN}{}{END}{after}", declarations())
    });
}

#[test]
fn the_declarations_have_the_close_codes_of_rust() {
    up_to_date("js/reconnecting-websocket.d.ts", |present| {
        with_close_codes(present, "   * ")
    });
}

/// What each class can emit is written by hand; together, these are the names of Rust.
#[test]
fn the_declarations_have_the_names_of_rust() {
    let face = read("js/reconnecting-websocket.d.ts");
    let shared = read("../client/src/declarations.d.ts");
    let exported = read("../client-export/src/socket.d.ts");
    // Those of a module that fails are no causes of the core.
    let mut causes = strings_of(&shared, "type SocketCause =");
    causes.extend(strings_of(&face, "type LossCause ="));
    causes.retain(|name| name != "load-failed" && name != "internal-error");
    assert_eq!(causes, set(Cause::ALL.map(Cause::name)));
    let mut reasons = strings_of(&face, "type DroppedEvent<");
    assert!(
        !reasons.contains("inbox-full"),
        "listeners get all messages"
    );
    reasons.extend(strings_of(&exported, "type ExportedDroppedEvent<"));
    assert_eq!(reasons, set(DropReason::ALL.map(DropReason::name)));
    let states = strings_of(&shared, "type ConnectionState =");
    assert_eq!(states, set(Phase::ALL.map(Phase::name)));
    for (declarations, map) in [
        (&face, "interface ReconnectingWebSocketEventMap {"),
        (&exported, "interface SocketEventMap<"),
    ] {
        let fields = body_of(declarations, map);
        for event in limits::EVENTS {
            assert!(
                fields.contains(&format!("\n  {event}: ")),
                "{map} lacks {event}"
            );
        }
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The text of a declaration, up to the next blank line.
fn body_of<'a>(declarations: &'a str, begin: &str) -> &'a str {
    let (_, rest) = declarations.split_once(begin).expect(begin);
    rest.split_once("\n\n").map_or(rest, |(body, _)| body)
}

/// The string literals in a declaration, which has one on a line, or several between bars.
fn strings_of(declarations: &str, begin: &str) -> BTreeSet<String> {
    let body = body_of(declarations, begin).lines();
    body.flat_map(|line| {
        let code = line.split("//").next().unwrap_or_default();
        code.split('\'').skip(1).step_by(2).map(str::to_owned)
    })
    .collect()
}

fn read(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).expect("the file can be read")
}

#[test]
fn the_readme_has_the_close_codes_of_rust() {
    up_to_date("npm/README.md", |present| with_close_codes(present, ""));
}

/// Replaces the table of close codes between its marks, each line after `margin`.
fn with_close_codes(text: &str, margin: &str) -> String {
    let (begin, end) = match margin {
        "" => (
            "<!-- generated close codes -->\n",
            "<!-- /generated close codes -->",
        ),
        _ => ("<generated close codes>\n", "   * </generated close codes>"),
    };
    let (before, rest) = text.split_once(begin).expect("a mark before the table");
    let (_, after) = rest.split_once(end).expect("a mark behind the table");
    let rows = CLOSE_CODES.iter();
    let rows = rows.map(|row| format!("| {} | {} | {} |", row.codes(), row.meaning, row.follows));
    let head = ["| close code | meaning | what follows |", "|---|---|---|"].map(str::to_owned);
    let lines: String = head
        .into_iter()
        .chain(rows)
        .map(|line| format!("{margin}{line}\n"))
        .collect();
    format!("{before}{begin}{lines}{end}{after}")
}

/// wasm-bindgen copies only the modules that are named; without one of them the page never starts.
#[test]
fn every_module_of_javascript_is_named_in_rust() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read = |file| std::fs::read_to_string(folder.join(file)).expect("the imports");
    let named = read("src/host.rs") + &read("src/session.rs");
    for entry in std::fs::read_dir(folder.join("js")).expect("the folder") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a name in UTF-8");
        let is_module = name.ends_with(".js");
        assert!(
            !is_module || named.contains(&format!("module = \"/js/{name}\"")),
            "neither src/host.rs nor src/session.rs names anything of js/{name}"
        );
    }
}

const BEGIN: &str = "  // <generated options>\n";
const END: &str = "  // </generated options>\n";

fn up_to_date(file: &str, generate: impl Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = generate(&present);
    if present != wanted && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).expect("the file can be written");
    } else {
        assert!(
            present == wanted,
            "{file} does not match the options in Rust; \
             `UPDATE=1 cargo test -p steady-socket-wasm --test generated` writes it anew"
        );
    }
}

fn table() -> String {
    let mut text = String::from(
        "// Generated from the Rust options by tests/generated.rs, which also says how to regenerate it.\n",
    );
    text.push_str(&places(
        "The indices of the options",
        OPTIONS.iter().map(|spec| spec.js_name),
    ));
    text.push_str(&places(
        "The values of the option `overflow`",
        Overflow::NAMES.into_iter(),
    ));
    text.push_str(
        "\n/** The longest time, which is also the longest delay of a timer, and the largest count. */\n\
         export const MAX = 2147483647;\n\
         \n\
         function row(name, kind, unit, min, max, unlimited, otherwise) {\n\
         \x20 return { name, kind, unit, min, max, unlimited, default: otherwise };\n\
         }\n\
         \n\
         function millis(name, min, otherwise, unlimited = otherwise === Infinity) {\n\
         \x20 return row(name, 'whole', ' ms', min, MAX, unlimited, otherwise);\n\
         }\n\
         \n\
         function count(name, min, otherwise, unlimited = otherwise === Infinity) {\n\
         \x20 return row(name, 'whole', '', min, MAX, unlimited, otherwise);\n\
         }\n\
         \n\
         function bytes(name, min, otherwise, unlimited = false) {\n\
         \x20 return row(name, 'whole', ' bytes', min, MAX, unlimited, otherwise);\n\
         }\n\
         \n\
         function flag(name, otherwise) {\n\
         \x20 return { name, kind: 'flag', default: otherwise };\n\
         }\n\
         \n\
         /** Every option that a number represents, in the order of Rust. */\n\
         export const OPTIONS = [\n",
    );
    for spec in OPTIONS {
        let (name, default) = (spec.js_name, number(spec.default));
        let like = match spec.kind {
            Kind::Millis => "millis",
            Kind::Count => "count",
            Kind::Bytes => "bytes",
            Kind::Factor => {
                let (min, max, unlimited) = (spec.min, spec.max, spec.unlimited);
                writeln!(
                    text,
                    "  row('{name}', 'number', '', {min}, {max}, {unlimited}, {default}),"
                )
                .unwrap();
                continue;
            }
            Kind::Flag => {
                writeln!(text, "  flag('{name}', {default}),").unwrap();
                continue;
            }
            Kind::Overflow => {
                let choices = strings(&Overflow::NAMES, ", ");
                writeln!(
                    text,
                    "  {{ name: '{name}', kind: 'choice', choices: {choices}, default: {default} }},"
                )
                .unwrap();
                continue;
            }
        };
        assert_eq!(spec.max, MAX_MILLIS, "of {name}");
        // What is unlimited unless something else is said may be so.
        let unlimited = if spec.unlimited && default != "Infinity" {
            ", true"
        } else {
            ""
        };
        writeln!(
            text,
            "  {like}('{name}', {}, {default}{unlimited}),",
            spec.min
        )
        .unwrap();
    }
    text.push_str(
        "];\n\n/** Pairs of them, by index, of which the first must not exceed the second. */\n",
    );
    let pairs: Vec<_> = ORDERED
        .iter()
        .map(|(less, more)| format!("  [{}, {}],\n", place(less), place(more)))
        .collect();
    writeln!(text, "export const ORDERED = [\n{}];", pairs.concat()).unwrap();
    text.push_str("\n/** Other clients' names for them. */\nexport const THEIR_NAMES = {\n");
    for (ours, theirs) in THEIR_NAMES {
        writeln!(text, "  {ours}: '{}',", theirs.join(" ")).unwrap();
    }
    text.push_str("};\n");
    text
}

/// The texts that numbers stand for.
fn names() -> String {
    let mut text = String::from(
        "// Generated from Rust by tests/generated.rs, which also says how to regenerate it: the meanings of the numbers\n\
         // in the core's reports.\n",
    );
    let counters = COUNTERS.into_iter();
    text.push_str(&places(
        "The indices of the counters and the other readings",
        counters.chain(READINGS),
    ));
    text.push_str(&places(
        "The indices of the states",
        Phase::ALL.map(Phase::name).into_iter(),
    ));
    text.push_str(&places("Commands", COMMANDS.into_iter()));
    text.push_str(&numbers("Events of a socket", &SOCKET_EVENTS));
    text.push_str(&places(
        "Hints about the page and the network",
        HINTS
            .map(|hint| format!("hint{hint:?}"))
            .iter()
            .map(String::as_str),
    ));
    text.push_str(&numbers(
        "The questions that a host answers, as a sum",
        &QUESTIONS,
    ));
    text.push_str(&numbers("Verdicts that are not waits", &VERDICTS));
    text.push_str(&numbers("What became of a message to send", &HANDED));
    let mut list = |doc: &str, name: &str, texts: Vec<&str>| {
        let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
        let mut list = format!("export const {name} = [{}];\n", texts.join(", "));
        if list.chars().count() > CODE_WIDTH {
            list = format!("export const {name} = [\n  {},\n];\n", texts.join(",\n  "));
        }
        write!(text, "\n/** {doc} */\n{list}").unwrap();
    };
    list("States.", "STATES", Phase::ALL.map(Phase::name).into());
    list(
        "What ended a connection or an attempt.",
        "CAUSES",
        Cause::ALL.map(Cause::name).into(),
    );
    list(
        "Why a message was not sent.",
        "DROP_REASONS",
        DropReason::ALL.map(DropReason::name).into(),
    );
    list("The counters of a snapshot.", "COUNTERS", COUNTERS.into());
    text.push_str("\n/** Why a connection is in its state, or will or will not retry. */\n");
    let named = Why::ALL.map(|why| (constant(&format!("why{why:?}")), why.text()));
    for (name, why) in &named {
        writeln!(text, "export const {name} = {};", quoted(why)).unwrap();
    }
    let names: Vec<_> = named.iter().map(|(name, _)| name.as_str()).collect();
    writeln!(
        text,
        "\n/** By their numbers. */\nexport const WHYS = [\n  {},\n];",
        names.join(",\n  ")
    )
    .unwrap();
    text
}

/// The numbers and rules that both languages need.
fn limits() -> String {
    let mut text = String::from(
        "// Generated from Rust (client/src/limits.rs) by tests/generated.rs, which also says how to regenerate it.\n",
    );
    let mut number = |doc: &str, name: &str, value: u64| {
        write!(text, "\n/** {doc} */\nexport const {name} = {value};\n").unwrap();
    };
    let code = u64::from;
    number(
        "The close code of a connection that closed without a close frame.",
        "ABNORMAL",
        code(limits::ABNORMAL),
    );
    number(
        "The close codes that scripts may send: this one, and those from `FIRST_OWN` to `LAST_OWN`.",
        "NORMAL",
        code(limits::NORMAL),
    );
    number(
        "The first close code of libraries and applications.",
        "FIRST_OWN",
        code(limits::FIRST_OWN),
    );
    number("The last of them.", "LAST_OWN", code(limits::LAST_OWN));
    number(
        "The longest reason that fits in a close frame, in bytes of UTF-8.",
        "LONGEST_REASON",
        limits::LONGEST_REASON as u64,
    );
    number(
        "The close code of a connection whose messages were not read in time.",
        "INBOX_FULL",
        code(limits::INBOX_FULL),
    );
    number(
        "How many messages may wait to be read, by default.",
        "INBOX_MESSAGES",
        limits::INBOX_MESSAGES as u64,
    );
    number(
        "How many bytes may wait to be read, by default.",
        "INBOX_BYTES",
        limits::INBOX_BYTES as u64,
    );
    number(
        "How long after an `error` event a closed socket may still report how it ended, in milliseconds.",
        "CLOSE_AFTER_ERROR",
        limits::CLOSE_AFTER_ERROR_MS,
    );
    number(
        "The most events that one task emits.",
        "TURN",
        limits::TURN.into(),
    );
    number(
        "How many dropped messages to keep at least until they are reported.",
        "LEAST_KEPT_MESSAGES",
        limits::LEAST_KEPT_MESSAGES as u64,
    );
    number(
        "How many bytes of them to keep at least.",
        "LEAST_KEPT_BYTES",
        limits::LEAST_KEPT_BYTES as u64,
    );
    let (least, most) = limits::ONLINE_MS;
    number(
        "How soon an attempt follows the browser's report that the network is back, in milliseconds: the least …",
        "ONLINE_MIN",
        least as u64,
    );
    number("… and the most.", "ONLINE_MAX", most as u64);
    let characters = || ('\0'..='\u{ff}').filter(|sign| is_token(&sign.to_string()));
    assert_eq!(characters().filter(char::is_ascii_alphanumeric).count(), 62);
    let signs: String = characters()
        .filter(|sign| !sign.is_ascii_alphanumeric())
        .collect();
    write!(
        text,
        "\n/** The characters of a token, besides letters and digits (RFC 9110). */\n\
         export const TOKEN_SIGNS = {};\n",
        quoted(&signs)
    )
    .unwrap();
    text
}

/// A constant for the index of each name in its list.
fn places<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let pairs: Vec<_> = names.zip(0..).collect();
    numbers(what, &pairs)
}

/// A constant for each number. Minifiers inline constants at the start of a module.
fn numbers(what: &str, named: &[(&str, i32)]) -> String {
    let mut text = format!("\n/** {what}. */\n");
    for (name, number) in named {
        writeln!(text, "export const {} = {number};", constant(name)).unwrap();
    }
    text
}

/// The name of a constant, from one in camel case or with hyphens.
fn constant(name: &str) -> String {
    let mut constant = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            constant.push('_');
        }
        constant.push(match letter {
            '-' => '_',
            _ => letter.to_ascii_uppercase(),
        });
    }
    constant
}

/// A string as a JavaScript literal.
fn quoted(text: &str) -> String {
    if text.contains('\'') {
        format!("\"{text}\"")
    } else {
        format!("'{text}'")
    }
}

fn declarations() -> String {
    let mut text = String::new();
    for (spec, doc) in OPTIONS.iter().zip(OPTION_DOCS) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("  /**\n");
        let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in wrapped(&doc).into_iter().chain(wrapped(&takes(spec))) {
            writeln!(text, "   * {line}").unwrap();
        }
        writeln!(text, "   * @default {}", default(spec)).unwrap();
        let kind = match spec.kind {
            Kind::Flag => "boolean".to_owned(),
            Kind::Overflow => Overflow::NAMES.map(|name| format!("'{name}'")).join(" | "),
            _ => "number".to_owned(),
        };
        writeln!(text, "   */\n  {}?: {kind} | undefined;", spec.js_name).unwrap();
    }
    text
}

/// The accepted values of an option, as a sentence; nothing if its type says it all.
fn takes(spec: &OptionSpec) -> String {
    let unit = match spec.kind {
        Kind::Millis => "Milliseconds",
        Kind::Count => "A whole number",
        Kind::Bytes => "Bytes",
        Kind::Factor => "A number",
        Kind::Flag | Kind::Overflow => return String::new(),
    };
    let max = if spec.max == MAX_MILLIS || spec.max == MAX_COUNT {
        "2^31 - 1".to_owned()
    } else {
        spec.max.to_string()
    };
    let unlimited = if spec.unlimited {
        ", or `Infinity` for no limit"
    } else {
        ""
    };
    format!("{unit}, {} to {max}{unlimited}.", spec.min)
}

fn default(spec: &OptionSpec) -> String {
    match spec.kind {
        Kind::Flag => (spec.default != 0.0).to_string(),
        Kind::Overflow => format!("'{}'", Overflow::NAMES[spec.default as usize]),
        _ => number(spec.default),
    }
}

/// A number as a JavaScript literal.
fn number(value: f64) -> String {
    if value.is_infinite() {
        "Infinity".to_owned()
    } else {
        value.to_string()
    }
}

fn strings(names: &[&str], between: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(between))
}

fn place(js_name: &str) -> usize {
    OPTIONS
        .iter()
        .position(|spec| spec.js_name == js_name)
        .expect("an option of this name")
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() + 6 < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
