//! Llama 3: `<|start_header_id|>role<|end_header_id|>\n\n…<|eot_id|>`.

use super::super::{Message, Role};
use super::headers::headers;
use super::{Template, Turn, as_said};

pub(super) const TEMPLATE: Template = Template {
    marks: |text| {
        headers(text, "<|start_header_id|>", |after| {
            let after = after.strip_prefix("<|end_header_id|>")?;
            Some(after.strip_prefix("\n\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after))
        })
    },
    closing: &["<|eot_id|>", "<|eom_id|>"],
    messages,
    answer: |answer, _, _| answer,
};

/// The system turn that the template writes from 3.1 on has two dates before the system message, and stands there
/// without one too.
fn messages(turns: &[Turn]) -> Vec<Message> {
    let mut messages = as_said(turns);
    let dated = messages.first().filter(|first| first.role == Role::System);
    match dated.and_then(|first| after_dates(&first.content)).map(str::to_owned) {
        Some(said) if said.is_empty() => drop(messages.remove(0)),
        Some(said) => messages[0].content = said,
        None => {}
    }
    messages
}

fn after_dates(system: &str) -> Option<&str> {
    let dates = system.strip_prefix("Environment: ipython\n").unwrap_or(system);
    let (_, today) = dates.strip_prefix("Cutting Knowledge Date: ")?.split_once('\n')?;
    let (_, said) = today.strip_prefix("Today Date: ")?.split_once('\n').unwrap_or_default();
    Some(said.strip_prefix('\n').unwrap_or(said))
}
