//! Bugs in the halves of a session.

use super::{Bug, Named, table, test};

table! { SESSIONS: }
