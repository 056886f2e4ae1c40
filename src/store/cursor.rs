//! Positions by key.

use crate::error::Result;
use crate::pg::spi::{See, Statement};

/// The value of a cursor.
pub fn get(key: &str) -> Result<Option<String>> {
    static GET: Statement = Statement::new("SELECT c.cursor_value FROM trustlog.cursor c WHERE c.cursor_key = $1");
    GET.first(See::Caller, &[key.into()], |row| row.need(1))
}

/// Sets a cursor, new or not.
pub fn set(key: &str, value: &str) -> Result<()> {
    static SET: Statement = Statement::new(
        "INSERT INTO trustlog.cursor (cursor_key, cursor_value) VALUES ($1, $2)
         ON CONFLICT (cursor_key) DO UPDATE SET cursor_value = excluded.cursor_value, last_updated_at = pg_catalog.now()",
    );
    SET.run(&[key.into(), value.into()]).map(drop)
}

/// Sets a cursor that does not exist yet; returns the value in force.
pub fn init(key: &str, value: &str) -> Result<String> {
    // The update changes nothing: it makes the statement wait for, and return, what another session has written.
    static INIT: Statement = Statement::new(
        "INSERT INTO trustlog.cursor AS c (cursor_key, cursor_value) VALUES ($1, $2)
         ON CONFLICT (cursor_key) DO UPDATE SET cursor_value = c.cursor_value
         RETURNING c.cursor_value",
    );
    INIT.one(See::Command, &[key.into(), value.into()], |row| row.need(1))
}

/// Sets a cursor whose value is `expected`; whether it was.
pub fn compare_and_set(key: &str, expected: &str, new: &str) -> Result<bool> {
    static CAS: Statement = Statement::new(
        "UPDATE trustlog.cursor SET cursor_value = $3, last_updated_at = pg_catalog.now()
          WHERE cursor_key = $1 AND cursor_value = $2",
    );
    CAS.run(&[key.into(), expected.into(), new.into()]).map(|rows| rows == 1)
}
