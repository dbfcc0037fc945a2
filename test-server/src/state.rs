//! What all connections share.

use std::sync::Arc;

use crate::endpoints::Endpoints;
use crate::registry::Registry;
use crate::{Config, Origins};

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) origins: Origins,
    pub(crate) endpoints: Endpoints,
}
