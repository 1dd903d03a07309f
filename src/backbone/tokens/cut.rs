//! What an input loses when it is too long: the prompt's oldest tokens, then the response's middle.

use super::Cut;

/// Names the rule in digests; change it when the rule changes.
pub(super) const RULE: &str = "prompt-left/response-middle";

/// What `prompt` and `response` tokens lose to fit into `budget` tokens together.
pub(super) fn cut(prompt: usize, response: usize, budget: usize) -> Cut {
    let kept_response = response.min(budget);
    let kept_prompt = prompt.min(budget - kept_response);
    Cut { prompt: prompt - kept_prompt, response: response - kept_response }
}

/// Appends what is left of `prompt` to `ids`.
pub(super) fn push_prompt(ids: &mut Vec<u32>, prompt: &[u32], cut: Cut) {
    ids.extend(&prompt[cut.prompt..]);
}

/// Appends what is left of `response` to `ids`; of an odd rest the beginning keeps one more.
pub(super) fn push_response(ids: &mut Vec<u32>, response: &[u32], cut: Cut) {
    let head = if cut.response == 0 { response.len() } else { (response.len() - cut.response).div_ceil(2) };
    ids.extend(&response[..head]);
    ids.extend(&response[head + cut.response..]);
}
