//! The only path from JavaScript into Rust code: every callback has a number.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use steady_socket::cell::RefCell;
use wasm_bindgen::prelude::*;

/// Called with a number for what happened and an accompanying value.
type Callback = Rc<dyn Fn(i32, f64, JsValue)>;

/// The slot of a number.
enum Slot {
    Empty,
    /// Called each time.
    Each(Callback),
    /// Called once.
    Once(Box<dyn FnOnce()>),
    /// Likewise, and the number is free once it is called.
    Task(Box<dyn FnOnce()>),
}

/// The callbacks for JavaScript.
#[derive(Default)]
pub(crate) struct Callbacks {
    /// Each at the index that is its number.
    slots: RefCell<Vec<Slot>>,
    /// Free numbers.
    free: RefCell<Vec<i32>>,
}

impl Callbacks {
    /// Registers a callback under a number, as long as the result is kept.
    pub(crate) fn add(
        self: &Rc<Self>,
        callback: impl Fn(i32, f64, JsValue) + 'static,
    ) -> Registered {
        self.register(Slot::Each(Rc::new(callback)))
    }

    /// Likewise, for one that is called once without arguments.
    pub(crate) fn add_once(self: &Rc<Self>, callback: Box<dyn FnOnce()>) -> Registered {
        self.register(Slot::Once(callback))
    }

    /// Gives a task a number, until it is called or [removed](Self::remove).
    pub(crate) fn add_task(&self, task: Box<dyn FnOnce()>) -> i32 {
        self.insert(Slot::Task(task))
    }

    fn register(self: &Rc<Self>, slot: Slot) -> Registered {
        Registered {
            id: self.insert(slot),
            callbacks: Rc::clone(self),
        }
    }

    #[inline(never)]
    fn insert(&self, content: Slot) -> i32 {
        let free = self.free.borrow_mut().pop();
        let mut slots = self.slots.borrow_mut();
        let id = free.unwrap_or(slots.len() as i32);
        match slots.get_mut(id as usize) {
            Some(slot) => *slot = content,
            None => slots.push(content),
        }
        id
    }

    /// Removes a callback, and frees its number.
    #[inline(never)]
    pub(crate) fn remove(&self, id: i32) {
        let slot = self.take(id);
        self.free.borrow_mut().push(id);
        // Its contents may be dropped with it, and call back here.
        drop(slot);
    }

    fn take(&self, id: i32) -> Slot {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(id as usize);
        slot.map_or(Slot::Empty, |slot| core::mem::replace(slot, Slot::Empty))
    }

    /// Calls back, unless the callback is no longer registered.
    pub(crate) fn call(&self, id: i32, what: i32, number: f64, value: JsValue) {
        let callback = match self.slots.borrow().get(id as usize) {
            Some(Slot::Each(callback)) => Some(Rc::clone(callback)),
            _ => None,
        };
        if let Some(callback) = callback {
            return callback(what, number, value);
        }
        match self.take(id) {
            Slot::Once(callback) => callback(),
            Slot::Task(task) => {
                self.free.borrow_mut().push(id);
                task();
            }
            _ => {}
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
        self.callbacks.remove(self.id);
    }
}
