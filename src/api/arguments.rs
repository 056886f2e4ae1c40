//! Arguments every function checks the same way.

use crate::error::{Error, Result};

/// Not NULL.
pub fn given<T>(name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::null(name))
}

/// One of the allowed names.
pub fn one_of<T>(name: &str, value: &str, parse: fn(&str) -> Option<T>, allowed: &[&str]) -> Result<T> {
    parse(value).ok_or_else(|| {
        Error::invalid(format!("invalid {name}: \"{value}\""), format!("Allowed values: {}.", allowed.join(", ")))
    })
}
