//! The Rust API: a typed stream and sink that stays connected.

mod application;
mod builder;
mod errors;
mod events;
mod handle;
mod inbox;
mod opening;
mod outbox;
mod outgoing;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
mod remote;
mod running;
mod session;
mod socket;
mod source;
mod times;
mod waiting;

pub use builder::{Builder, endpoint};
pub use errors::{ConnectError, Gone, ReconnectError, SendError};
pub use events::Events;
pub use handle::Handle;
pub use inbox::{InboxLimits, InboxOverflow};
pub use opening::Opening;
pub use outgoing::Outgoing;
#[cfg(all(feature = "native", feature = "session", not(target_family = "wasm")))]
pub use remote::RemoteDelivering;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
pub use remote::{RemoteEvents, RemoteHandle, RemoteSocket};
#[cfg(feature = "session")]
pub use session::{Asking, Delivering, RequestError, Session};
pub use socket::{EndpointSocket, Socket};
pub use source::Source;
#[cfg(feature = "gloo-net")]
pub(crate) use source::permission_for;
