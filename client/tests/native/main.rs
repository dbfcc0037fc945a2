//! The Rust API natively, on real sockets: the cases of [`cases.rs`](../face/cases.rs), which browsers run, too, and what
//! only a native program has.

/// Makes a test of each case.
macro_rules! natively {
    ($($case:ident,)*) => {
        mod natively {
            $(
                #[test]
                fn $case() {
                    steady_socket::native::run(super::$case()).unwrap();
                }
            )*
        }
    };
}
pub(crate) use natively;

mod over_ws;
mod over_wss;
mod own;
mod remote;
mod server;
mod sockets;

/// The program that `docs/native.md` shows.
#[path = "../../examples/native.rs"]
mod example;

#[test]
fn the_example_runs_and_the_page_shows_it() {
    let url = format!("ws://{}", server::WS.socket_address());
    let mut greetings = example::main_with(&url).unwrap();
    // Two tasks send.
    greetings[1..].sort();
    assert_eq!(greetings, ["Hello Ada!", "Hello Ada!", "Hello Grace!"]);

    let page = include_str!("../../../docs/native.md");
    let source = include_str!("../../examples/native.rs");
    let shown: Vec<_> = source
        .split("// docs: ")
        .filter(|part| !part.starts_with("end"))
        .skip(1)
        .map(|part| part.split_once('\n').unwrap().1)
        .collect();
    assert_eq!(shown.len(), 2);
    for part in shown {
        assert!(page.contains(part), "the page does not show:\n{part}");
    }
}
