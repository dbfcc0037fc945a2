//! The Rust API on the test kit: the cases of [`cases.rs`](../face/cases.rs), which also run in browsers and natively. What
//! the kit and those platforms do differently would show here.

/// Makes a test of each case.
macro_rules! natively {
    ($($case:ident,)*) => {
        mod natively {
            $(
                #[test]
                fn $case() {
                    $crate::server::run(super::$case());
                }
            )*
        }
    };
}
pub(crate) use natively;

mod on_the_kit;
mod server;
