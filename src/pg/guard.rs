//! The append-only guard's pass: a flag private to this library.
//!
//! The guard triggers refuse UPDATE, DELETE and TRUNCATE unless the extension itself is at work. No setting and no role
//! can raise the flag. A pass is good for one statement: the guard takes it away as it lets the statement through, before
//! any other trigger of the same statement could use it. Should an error have jumped over all that, the end of the
//! transaction or subtransaction drops it.

use std::cell::Cell;

thread_local! {
    static GRANTED: Cell<bool> = const { Cell::new(false) };
}

/// Lets the next statement through that changes an append-only table, as long as it lives.
pub struct Pass(());

impl Pass {
    /// For the one statement that needs it.
    pub fn take() -> Self {
        GRANTED.set(true);
        Self(())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        revoke();
    }
}

/// Uses the pass up; whether there was one.
pub fn use_pass() -> bool {
    GRANTED.replace(false)
}

/// Drops a pass: nothing of the extension is at work any more.
pub fn revoke() {
    GRANTED.set(false);
}
