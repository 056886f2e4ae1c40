//! Cursors: positions that consumers keep.

use pgrx::prelude::*;

use super::arguments::given;
use crate::error::{Error, Result, SqlResult};
use crate::store::cursor;

/// Keys that begin so are the worker's.
const RESERVED: &str = "delivery";

#[pg_extern(schema = "trustlog", stable, security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn get_cursor(key: Option<&str>) -> SqlResult<Option<String>> {
    Ok(cursor::get(given("key", key)?)?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn update_cursor(key: Option<&str>, value: Option<&str>) -> SqlResult<()> {
    Ok(cursor::set(writable(key)?, given("value", value)?)?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn init_cursor(key: Option<&str>, value: Option<&str>) -> SqlResult<String> {
    Ok(cursor::init(writable(key)?, given("value", value)?)?)
}

#[pg_extern(schema = "trustlog", security_definer)]
#[search_path(pg_catalog, pg_temp)]
fn update_cursor_cas(key: Option<&str>, expected: Option<&str>, new: Option<&str>) -> SqlResult<bool> {
    Ok(cursor::compare_and_set(writable(key)?, given("expected", expected)?, given("new", new)?)?)
}

fn writable(key: Option<&str>) -> Result<&str> {
    let key = given("key", key)?;
    if key.is_empty() {
        return Err(Error::invalid("invalid key: \"\"", "Give a text that is not empty."));
    }
    if key.starts_with(RESERVED) {
        return Err(Error::state(
            format!("cursor \"{key}\" belongs to the worker"),
            "Use a key that does not begin with \"delivery\".",
        ));
    }
    Ok(key)
}
