//! Bugs in the halves of a session.

use super::Bug;

table! { SESSIONS: }
