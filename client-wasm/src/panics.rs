//! Reports a panic with its place, and ends every connection.
//!
//! The published module has no standard library, whose own panic reporting would make up a tenth of it. In tests,
//! which need the standard library, a hook does the same.

#[cfg(any(feature = "std", target_family = "wasm"))]
use crate::host::panicked;

/// Reports every panic from now on.
#[cfg(feature = "std")]
pub(crate) fn report() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload().downcast_ref::<&'static str>();
        describe(message.copied(), panic.location());
    }));
}

/// The end.
#[cfg(all(target_family = "wasm", not(feature = "std")))]
#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    describe(panic.message().as_str(), panic.location());
    core::arch::wasm32::unreachable()
}

/// Reports the place, and the message if it is a literal in the source. A formatted message may quote what was sent.
#[cfg(any(feature = "std", target_family = "wasm"))]
fn describe(message: Option<&'static str>, place: Option<&core::panic::Location<'_>>) {
    let (file, line) = place.map_or(("", 0), |place| (place.file(), place.line()));
    panicked(message.unwrap_or("panic"), file, line);
}
