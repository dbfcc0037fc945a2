//! The only path from JavaScript into Rust code: every callback has a number.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use steady_socket::cell::RefCell;
use wasm_bindgen::prelude::*;

/// Called with a number for what happened and an accompanying value.
type Callback = Rc<dyn Fn(i32, f64, JsValue)>;

/// A callback for JavaScript.
#[derive(Default)]
pub(crate) struct Callbacks {
    /// Each at the index that is its number.
    slots: RefCell<Vec<Option<Callback>>>,
    /// Free numbers.
    free: RefCell<Vec<i32>>,
}

impl Callbacks {
    /// Registers a callback under a number, as long as the result is kept.
    pub(crate) fn add(
        self: &Rc<Self>,
        callback: impl Fn(i32, f64, JsValue) + 'static,
    ) -> Registered {
        self.insert(Rc::new(callback))
    }

    /// Likewise, for one that is called once without arguments.
    pub(crate) fn add_once(self: &Rc<Self>, callback: Box<dyn FnOnce()>) -> Registered {
        let callback = Cell::new(Some(callback));
        self.add(move |_, _, _| {
            if let Some(callback) = callback.take() {
                callback();
            }
        })
    }

    fn insert(self: &Rc<Self>, callback: Callback) -> Registered {
        let free = self.free.borrow_mut().pop();
        let mut slots = self.slots.borrow_mut();
        let id = free.unwrap_or(slots.len() as i32);
        match slots.get_mut(id as usize) {
            Some(slot) => *slot = Some(callback),
            None => slots.push(Some(callback)),
        }
        Registered {
            id,
            callbacks: Rc::clone(self),
        }
    }

    /// Calls back, unless the callback is no longer registered.
    pub(crate) fn call(&self, id: i32, what: i32, number: f64, value: JsValue) {
        let callback = self.slots.borrow().get(id as usize).cloned().flatten();
        if let Some(callback) = callback {
            callback(what, number, value);
        }
    }
}

/// The number of a callback, which is no longer called once this is dropped.
pub(crate) struct Registered {
    pub(crate) id: i32,
    callbacks: Rc<Callbacks>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut slots = self.callbacks.slots.borrow_mut();
        let callback = slots.get_mut(self.id as usize).and_then(Option::take);
        drop(slots);
        self.callbacks.free.borrow_mut().push(self.id);
        // Its contents may be dropped with it, and call back here.
        drop(callback);
    }
}
