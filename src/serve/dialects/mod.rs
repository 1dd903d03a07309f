//! What trainers and other servers' clients send, and what they read: one file per dialect, one table of routes.
//!
//! A dialect turns a body into a request and the scores into its reply; everything between is the same for all.

mod fields;
mod native;
mod openrlhf;
mod others;
mod schema;
mod sglang;
mod tei;
#[cfg(test)]
mod tests;
pub(super) mod triton;
mod vllm;

pub(super) use schema::request_schema;
pub(super) use vllm::LABEL;

use super::failure::Style;
use super::request::Parse;

/// A route that scores.
pub(super) struct Route {
    /// Every path it is found at.
    pub(super) paths: &'static [&'static str],
    /// Its name in metrics.
    pub(super) name: &'static str,
    /// Who sends it, in one line.
    pub(super) about: &'static str,
    /// A body that it takes.
    pub(super) example: &'static str,
    pub(super) parse: Parse,
    /// How its errors are written.
    pub(super) style: Style,
}

/// All routes that score.
pub(super) const ROUTES: [Route; 13] = [
    Route {
        paths: &["/v1/score"],
        name: "score",
        about: "Everything that is known of every item; vLLM's score where the body has pairs of texts",
        example: r#"{"items":[{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."}]},{"prompt":"Hi","response":"Yo"},{"text":"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n"}],"weights":{"safety":2.0},"group":true}"#,
        parse: score_v1,
        style: Style::Native,
    },
    Route {
        paths: &["/get_reward"],
        name: "get_reward",
        about: "OpenRLHF's remote reward model; align-anything's where the body has prompts and responses",
        example: r#"{"query":["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>"],"prompts":["<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"],"labels":[null]}"#,
        parse: openrlhf::get_reward,
        style: Style::Native,
    },
    Route {
        paths: &["/classify", "/v1/classify"],
        name: "classify",
        about: "vLLM's (input or messages), which verl asks, and SGLang's (text or conv)",
        example: r#"{"model":"any","input":"Human: Hi\n\nAssistant: Hello.","use_activation":false}"#,
        parse: sglang::classify,
        style: Style::OpenAi,
    },
    Route {
        paths: &["/pooling", "/v1/pooling"],
        name: "pooling",
        about: "vLLM's, a list of one number per text",
        example: r#"{"model":"any","input":["Hello."],"use_activation":false,"encoding_format":"float"}"#,
        parse: vllm::pooling,
        style: Style::OpenAi,
    },
    Route {
        paths: &["/v1/embeddings"],
        name: "embeddings",
        about: "SGLang's as verl reads it: the score as an embedding of one column",
        example: r#"{"model":"any","input":"Hello."}"#,
        parse: vllm::embeddings,
        style: Style::OpenAi,
    },
    Route {
        paths: &["/score"],
        name: "vllm_score",
        about: "vLLM's: prompts and responses under any of their four names",
        example: r#"{"model":"any","text_1":"Hi","text_2":["Hello.","Yo"],"use_activation":false}"#,
        parse: vllm::score,
        style: Style::OpenAi,
    },
    Route {
        paths: &["/rerank"],
        name: "rerank",
        about: "text-embeddings-inference's (texts) and vLLM's (documents)",
        example: r#"{"query":"Hi","texts":["Hello.","Yo"],"raw_scores":true,"return_text":true}"#,
        parse: tei::rerank,
        style: Style::Tei,
    },
    Route {
        paths: &["/v1/rerank", "/v2/rerank"],
        name: "vllm_rerank",
        about: "vLLM's and Cohere's",
        example: r#"{"model":"any","query":"Hi","documents":["Hello.","Yo"],"top_n":1}"#,
        parse: tei::rerank,
        style: Style::OpenAi,
    },
    Route {
        paths: &["/predict", "/", "/invocations"],
        name: "predict",
        about: "text-embeddings-inference's classifier",
        example: r#"{"inputs":[["Hello."],["Hi","Hello."]],"raw_scores":true}"#,
        parse: tei::predict,
        style: Style::Tei,
    },
    Route {
        paths: &["/v1/score/evaluation"],
        name: "score_evaluation",
        about: "LLaMA-Factory's PPO with reward_model_type: api",
        example: r#"{"model":"model","messages":["Human: Hi\n\nAssistant: Hello."],"max_length":512}"#,
        parse: others::llama_factory,
        style: Style::Native,
    },
    Route {
        paths: &["/slime"],
        name: "slime",
        about: "slime's --rm-url: one sample, answered with a bare number",
        example: r#"{"prompt":"Hi","response":"Hello.","label":null}"#,
        parse: others::slime,
        style: Style::Native,
    },
    Route {
        paths: &["/slime/scores"],
        name: "slime_scores",
        about: "slime's --rm-url with --reward-key: score, and a number for each objective",
        example: r#"{"prompt":[{"role":"user","content":"Hi"}],"response":"Hello.","label":null}"#,
        parse: others::slime_scores,
        style: Style::Native,
    },
    Route {
        paths: &["/v2/models/reward_model/infer", "/v2/models/reward_model/versions/1/infer"],
        name: "triton",
        about: "Triton's protocol (KServe v2) as PyTriton's clients speak it",
        example: r#"{"inputs":[{"name":"sentences","datatype":"BYTES","shape":[1,1],"data":[["Hello."]]}],"outputs":[{"name":"rewards"}]}"#,
        parse: triton::infer,
        style: Style::Triton,
    },
];

/// `/v1/score` is ours and vLLM's: pairs of texts are vLLM's.
fn score_v1(incoming: &super::request::Incoming<'_>) -> Result<super::request::Call, super::failure::Failure> {
    let body = fields::object(incoming)?;
    let theirs = ["text_1", "data_1", "queries"].iter().any(|field| body.contains_key(*field));
    if theirs {
        vllm::score(incoming).map_err(|failure| failure.styled(Style::OpenAi))
    } else {
        native::score(incoming)
    }
}

/// How errors are told on a path before its body is looked at.
pub(super) fn style_of(path: &str) -> Style {
    let route = ROUTES.iter().find(|route| route.paths.contains(&path));
    match route {
        Some(route) => route.style,
        None if path.starts_with("/v2") => Style::Triton,
        None => Style::Native,
    }
}
