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
