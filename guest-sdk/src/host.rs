//! Calls and fetches inside a host.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use crate::pending::private::Failure;

/// A call or a fetch that the host knows by this handle. Dropping it ends it.
#[derive(Debug)]
pub struct Started<E: Failure>(i32, PhantomData<E>);

impl<E: Failure> Started<E> {
    pub(crate) fn new(handle: i32) -> Self {
        Self(handle, PhantomData)
    }

    pub(crate) fn handle(&self) -> i32 {
        self.0
    }

    /// Returns the handle, which the receiver must close.
    pub(crate) fn into_handle(self) -> i32 {
        ManuallyDrop::new(self).0
    }
}

impl<E: Failure> Drop for Started<E> {
    fn drop(&mut self) {
        E::close(self.0);
    }
}
