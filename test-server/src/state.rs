//! What all connections share.

use std::sync::Arc;

use crate::registry::Registry;
use crate::sessions::Sessions;
use crate::{Config, Origins};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) origins: Origins,
    pub(crate) sessions: Sessions,
}
