//! A `RefCell` that panics with a fixed text.
//!
//! That of `core` puts the text together, and the formatting that this takes is a twentieth of the WebAssembly
//! module of the JavaScript face.

use core::cell::{Ref, RefMut};

/// As [`core::cell::RefCell`].
#[derive(Debug, Default)]
pub struct RefCell<T>(core::cell::RefCell<T>);

impl<T> RefCell<T> {
    /// With this inside.
    pub const fn new(value: T) -> Self {
        Self(core::cell::RefCell::new(value))
    }

    /// A look at what is inside.
    ///
    /// # Panics
    /// While it is being changed.
    pub fn borrow(&self) -> Ref<'_, T> {
        match self.0.try_borrow() {
            Ok(value) => value,
            Err(_) => in_use(),
        }
    }

    /// Access to what is inside.
    ///
    /// # Panics
    /// While somebody looks at it.
    pub fn borrow_mut(&self) -> RefMut<'_, T> {
        match self.0.try_borrow_mut() {
            Ok(value) => value,
            Err(_) => in_use(),
        }
    }

    /// What is inside, which nobody else can see.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }
}

#[cold]
#[inline(never)]
fn in_use() -> ! {
    panic!("something is used from inside of itself")
}
