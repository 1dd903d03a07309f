//! The one date a template is ever told: Friday, 26 July 2024, midnight.
//!
//! It is the date that Llama 3.2's template uses where it cannot ask. A clock would give other features each day.

use minijinja::{Error, ErrorKind};

/// `strftime` of the fixed date in the C locale.
///
/// # Errors
/// A directive that Python's `strftime` does not have.
pub(super) fn strftime(format: &str) -> Result<String, Error> {
    let (mut text, mut characters) = (String::new(), format.chars());
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut directive = characters.next().unwrap_or('%');
        // "%-d" is the C library's "without leading zero".
        let bare = directive == '-';
        if bare {
            directive = characters.next().unwrap_or('%');
        }
        let written = written(directive)
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("strftime knows no %{directive}")))?;
        let trimmed = written.trim_start_matches('0');
        text.push_str(if bare && !trimmed.is_empty() { trimmed } else { written });
    }
    Ok(text)
}

fn written(directive: char) -> Option<&'static str> {
    Some(match directive {
        'a' => "Fri",
        'A' => "Friday",
        'b' | 'h' => "Jul",
        'B' => "July",
        'c' => "Fri Jul 26 00:00:00 2024",
        'C' => "20",
        'd' | 'e' => "26",
        'D' | 'x' => "07/26/24",
        'F' => "2024-07-26",
        'g' | 'y' => "24",
        'G' | 'Y' => "2024",
        'H' | 'M' | 'S' => "00",
        'I' => "12",
        'j' => "208",
        'm' => "07",
        'n' => "\n",
        'p' => "AM",
        'r' => "12:00:00 AM",
        'R' => "00:00",
        't' => "\t",
        'T' | 'X' => "00:00:00",
        'u' | 'w' => "5",
        'U' | 'W' => {
            if directive == 'U' {
                "29"
            } else {
                "30"
            }
        }
        'V' => "30",
        'f' => "000000",
        'z' | 'Z' => "",
        '%' => "%",
        _ => return None,
    })
}
