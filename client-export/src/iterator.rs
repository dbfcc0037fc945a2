//! The iterator for `for await`.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

/// Yields one message after the other, and `undefined` at the end.
pub(crate) trait Read {
    /// The next message.
    fn next(&self) -> Promise;
}

/// An asynchronous iterator over received messages. JavaScript cannot name it.
///
/// It keeps its connection until it reaches its end or the loop exits.
#[wasm_bindgen(private, skip_typescript)]
#[derive(Clone)]
pub struct MessageIterator(Rc<RefCell<Option<Rc<dyn Read>>>>);

impl std::fmt::Debug for MessageIterator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageIterator").finish_non_exhaustive()
    }
}

impl MessageIterator {
    pub(crate) fn new(of: Rc<dyn Read>) -> Self {
        Self(Rc::new(RefCell::new(Some(of))))
    }
}

#[wasm_bindgen]
impl MessageIterator {
    /// The next message, per the iterator protocol.
    pub fn next(&self) -> Promise {
        let source = self.0.borrow().clone();
        let Some(source) = source else {
            return Promise::resolve(&step(None));
        };
        let next = JsFuture::from(source.next());
        let slot = Rc::clone(&self.0);
        future_to_promise(async move {
            let message = next.await?;
            if message.is_undefined() {
                slot.borrow_mut().take();
                return Ok(step(None));
            }
            Ok(step(Some(message)))
        })
    }

    /// The loop has exited: releases the connection.
    #[wasm_bindgen(js_name = return)]
    pub fn leave(&self) -> Promise {
        let source = self.0.borrow_mut().take();
        drop(source);
        Promise::resolve(&step(None))
    }

    /// An iterator is its own iterable.
    #[wasm_bindgen(js_name = "[Symbol.asyncIterator]")]
    pub fn iterate(&self) -> Self {
        self.clone()
    }
}

/// An `IteratorResult`.
fn step(value: Option<JsValue>) -> JsValue {
    let result = Object::new();
    // A fresh object accepts every property.
    let _ = Reflect::set(&result, &"done".into(), &value.is_none().into());
    let _ = Reflect::set(
        &result,
        &"value".into(),
        &value.unwrap_or(JsValue::UNDEFINED),
    );
    result.into()
}
