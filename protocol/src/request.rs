//! Requests: what is asked, with what it is answered.

/// A request of a session, with the types of its response and of its error. Both ends share it, so that an answer of
/// another type is a compile error.
///
/// What one end can be asked is one type, usually an enum, with an enum for the responses:
///
/// ```
/// # #[cfg(feature = "json")] {
/// use serde::{Deserialize, Serialize};
/// use steady_socket_protocol::Request;
///
/// #[derive(Serialize, Deserialize)]
/// struct Divide(i64, i64);
///
/// #[derive(Serialize, Deserialize)]
/// enum DivideError { ByZero }
///
/// impl Request for Divide {
///     type Response = i64;
///     type Error = DivideError;
/// }
/// # }
/// ```
pub trait Request {
    /// The answer to it.
    type Response;
    /// The answer if the one asked cannot do it, which the application defines. `()` if that needs no words.
    type Error;
}
