//! The only path from JavaScript into Rust code, besides the methods of [`Core`]: every callback has a number.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use steady_socket::application::Answer;
use steady_socket::cell::RefCell;
use steady_socket::connection::Hint;
use steady_socket::platform::SocketListener;
use wasm_bindgen::prelude::*;

use crate::Core;
use crate::platform::{HINTS, event, event_of, refused};

/// What a number stands for.
pub(crate) enum Callback {
    /// Nothing any more.
    None,
    /// A socket, which is called with its messages and events.
    Socket(Rc<dyn SocketListener<JsValue>>),
    /// A watch, which is called with hints.
    Watch(Rc<dyn Fn(Hint)>),
    /// A search for a target, which is called once, with its result.
    Search(Answer<()>),
    /// A timer, which is called once.
    Timer(Box<dyn FnOnce()>),
    /// A task. Its number is free once it is called.
    Task(Box<dyn FnOnce()>),
}

/// The callbacks for JavaScript.
#[derive(Default)]
pub(crate) struct Callbacks {
    /// Each at the index that is its number.
    slots: RefCell<Vec<Callback>>,
    /// Free numbers.
    free: RefCell<Vec<i32>>,
}

impl Callbacks {
    /// The function through which JavaScript calls back under a number, for what happened, with an accompanying number
    /// and value. A negative number makes a core.
    pub(crate) fn into_function(self) -> JsValue {
        let callbacks = Rc::new(self);
        let call = move |id: i32, what: i32, number: f64, value: JsValue| -> JsValue {
            if id < 0 {
                return Core::new(value.unchecked_into(), &callbacks).into();
            }
            match callbacks.get(id) {
                Callback::None => {}
                Callback::Socket(listener) => match what {
                    event::MESSAGE => listener.message(value, number as usize),
                    _ => listener.event(event_of(what, number, &value)),
                },
                Callback::Watch(notify) => {
                    if let Some(hint) = HINTS.get(number as usize) {
                        notify(*hint);
                    }
                }
                Callback::Search(answer) => answer(match what {
                    0 => Err(refused()),
                    _ => Ok(()),
                }),
                Callback::Timer(task) | Callback::Task(task) => task(),
            }
            JsValue::UNDEFINED
        };
        Closure::<dyn Fn(i32, i32, f64, JsValue) -> JsValue>::new(call).into_js_value()
    }

    /// Registers a callback under a number, as long as the result is kept.
    pub(crate) fn register(self: &Rc<Self>, callback: Callback) -> Registered {
        Registered {
            id: self.add(callback),
            callbacks: Rc::clone(self),
        }
    }

    /// Gives a callback a number, until it is [removed](Self::remove).
    #[inline(never)]
    pub(crate) fn add(&self, callback: Callback) -> i32 {
        let free = self.free.borrow_mut().pop();
        let mut slots = self.slots.borrow_mut();
        let id = free.unwrap_or(slots.len() as i32);
        match slots.get_mut(id as usize) {
            Some(slot) => *slot = callback,
            None => slots.push(callback),
        }
        id
    }

    /// Removes a callback, and frees its number.
    #[inline(never)]
    pub(crate) fn remove(&self, id: i32) {
        let callback = {
            let mut slots = self.slots.borrow_mut();
            slots.get_mut(id as usize).map(Callback::take)
        };
        self.free.borrow_mut().push(id);
        // Its contents may be dropped with it, and call back here.
        drop(callback);
    }

    /// What to call for a number.
    fn get(&self, id: i32) -> Callback {
        let mut slots = self.slots.borrow_mut();
        let callback = match slots.get_mut(id as usize) {
            Some(Callback::Socket(listener)) => Callback::Socket(Rc::clone(listener)),
            Some(Callback::Watch(notify)) => Callback::Watch(Rc::clone(notify)),
            Some(once) => once.take(),
            None => Callback::None,
        };
        if let Callback::Task(_) = callback {
            self.free.borrow_mut().push(id);
        }
        callback
    }
}

impl Callback {
    fn take(&mut self) -> Self {
        core::mem::replace(self, Self::None)
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
