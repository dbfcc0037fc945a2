//! A `RefCell` that panics with a fixed text.
//!
//! The one in `core` formats its text, and the formatting code makes up a twentieth of the WebAssembly module for
//! JavaScript.

use core::cell::{Ref, RefMut};

/// See [`core::cell::RefCell`].
#[derive(Debug, Default)]
pub struct RefCell<T>(core::cell::RefCell<T>);

impl<T> RefCell<T> {
    /// A cell with this value.
    pub const fn new(value: T) -> Self {
        Self(core::cell::RefCell::new(value))
    }

    /// Borrows the value.
    ///
    /// # Panics
    /// If it is mutably borrowed.
    pub fn borrow(&self) -> Ref<'_, T> {
        match self.0.try_borrow() {
            Ok(value) => value,
            Err(_) => in_use(),
        }
    }

    /// Mutably borrows the value.
    ///
    /// # Panics
    /// If it is borrowed.
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        match self.0.try_borrow_mut() {
            Ok(value) => value,
            Err(_) => in_use(),
        }
    }

    /// The value, which nobody else can access.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

#[cold]
#[inline(never)]
fn in_use() -> ! {
    panic!("something is used from inside of itself")
}
