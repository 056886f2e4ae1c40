//! The append-only guard's pass: a flag private to this library.
//!
//! The guard triggers refuse UPDATE, DELETE and TRUNCATE unless the extension itself is at work. No setting and no role
//! can raise the flag; it is dropped with its [`Pass`], and by the end of the transaction or subtransaction should an
//! error have jumped over that.

use std::cell::Cell;

thread_local! {
    static PASSES: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, the extension may change its append-only tables.
pub struct Pass(());

impl Pass {
    /// For the one statement that needs it.
    pub fn take() -> Self {
        PASSES.set(PASSES.get() + 1);
        Self(())
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        PASSES.set(PASSES.get().saturating_sub(1));
    }
}

/// Whether a pass is held.
pub fn passes() -> bool {
    PASSES.get() > 0
}

/// Drops every pass: nothing of the extension is at work any more.
pub fn revoke() {
    PASSES.set(0);
}
