//! Reads the small files of a model folder as text and as JSON, and says what is wrong with them as model faults.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Fault, Result};
use crate::files;

/// The text of a file; `purpose` names it in faults.
///
/// # Errors
/// [`Error::Model`] when it is not UTF-8, [`Error::Io`] when it cannot be read.
pub(super) fn read_text(path: &Path, purpose: &str) -> Result<String> {
    String::from_utf8(files::read(path, purpose)?).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let fault = Fault::new(path.display(), format!("{purpose} is not UTF-8: first bad byte at offset {offset}"));
        Error::Model(vec![fault.help("fetch the file again, or save it as UTF-8")])
    })
}

/// The JSON that `text`, the content of `path`, holds; `accepted` and `help` say what belongs there.
///
/// # Errors
/// [`Error::Model`] with the line and column where it ends to be JSON.
pub(super) fn parse_json(path: &Path, text: &str, accepted: &str, help: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column, message) = (error.line(), error.column(), error.to_string());
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        let message = if error.is_eof() { "it ends too early" } else { message };
        let place = format!("{}:{line}:{column}", path.display());
        let fault = Fault::new(place, format!("cannot be read as JSON: {message}"));
        Error::Model(vec![fault.accepts(accepted).help(help)])
    })
}
