//! Headers that name the role, the same in ChatML, Llama 3 and Gemma: a token, a role, what ends the header.

use super::super::Role;
use super::super::turns::Mark;

/// The role words of templates. Results of tools are what the policy is told, as the user's turns are; a developer
/// instructs as the system does. Any other word makes no header: it stays text.
const ROLES: [(&str, Role); 9] = [
    ("system", Role::System),
    ("developer", Role::System),
    ("user", Role::User),
    ("human", Role::User),
    ("tool", Role::User),
    ("ipython", Role::User),
    ("assistant", Role::Assistant),
    ("model", Role::Assistant),
    ("gpt", Role::Assistant),
];

/// Every header `open role end`, where `end` gives what follows a header's end; a text may stop after the role.
pub(super) fn headers(text: &str, open: &str, end: fn(&str) -> Option<&str>) -> Vec<Mark> {
    let header = |(start, _): (usize, &str)| {
        let named = &text[start + open.len()..];
        let (after, role) = ROLES.iter().find_map(|(word, role)| Some((named.strip_prefix(word)?, *role)))?;
        let said = if after.is_empty() { after } else { end(after)? };
        Some(Mark { start, end: text.len() - said.len(), role })
    };
    text.match_indices(open).filter_map(header).collect()
}
