//! Wrong chat templates, and conversations that a template refuses.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::families::decoder;
use crate::project::{Project, TRAIN};

const TEMPLATE: &str = "backbones/tiny/chat_template.jinja";
const SETTINGS: &str = "backbones/tiny/tokenizer_config.json";

/// The project with a decoder that has this chat template.
fn project(template: &str) -> Project {
    let project = decoder("llama");
    project.write(TEMPLATE, template);
    project
}

fn template(template: &str) -> String {
    project(template).refused(2, &TRAIN)
}

/// The message for a decoder whose `tokenizer_config.json` has this chat template.
fn setting(template: &Value) -> String {
    let project = decoder("llama");
    project.write(SETTINGS, json!({ "chat_template": template }).to_string());
    project.refused(2, &TRAIN)
}

/// The project's pairs, one of which has this prompt.
fn with_prompt(project: &Project, prompt: &Value) {
    project.edit_line("data/pairs.jsonl", 4, &json!({ "prompt": prompt, "chosen": "a", "rejected": "b" }).to_string());
}

const PLAIN: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}";

#[test]
fn a_plain_template_trains() {
    let trained = project(PLAIN).run(&TRAIN, "");
    assert_eq!((trained.code, trained.errors.as_str()), (0, ""));
}

#[test]
fn a_syntax_error() {
    assert_snapshot!(template("{% for message in messages %}\n{{ message.content }\n{% endfor %}"));
}

#[test]
fn a_block_that_is_not_closed() {
    assert_snapshot!(template("{% for message in messages %}\n{{ message.content }}\n"));
}

#[test]
fn a_loop_without_end() {
    assert_snapshot!(template(&format!("{{% for number in range(100000) %}}{PLAIN}{{% endfor %}}")));
}

#[test]
fn a_loop_of_a_billion() {
    assert_snapshot!(template(&format!("{PLAIN}{{% for number in range(1000000000) %}}{{% endfor %}}")));
}

#[test]
fn a_template_without_the_response() {
    assert_snapshot!(template("{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}"));
}

#[test]
fn a_template_that_shows_the_response_twice() {
    assert_snapshot!(template(&format!("{PLAIN}{PLAIN}")));
}

#[test]
fn a_template_that_is_empty() {
    assert_snapshot!(template(""));
}

#[test]
fn a_template_that_is_no_text() {
    let project = decoder("llama");
    project.write(TEMPLATE, b"\xff\xfe{\x00{\x00");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_template_that_calls_what_is_not_there() {
    assert_snapshot!(template("{{ render_tools(messages) }}"));
}

#[test]
fn a_template_that_refuses_everything() {
    assert_snapshot!(template("{{ raise_exception('This model does not chat.') }}"));
}

#[test]
fn a_template_that_is_a_number() {
    assert_snapshot!(setting(&json!(3)));
}

#[test]
fn named_templates_without_a_default() {
    assert_snapshot!(setting(&json!([{ "name": "tool_use", "template": PLAIN }])));
}

#[test]
fn settings_that_are_no_json() {
    let project = decoder("llama");
    project.write(SETTINGS, "{'bos_token': '<s>'}");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn settings_that_are_no_object() {
    let project = decoder("llama");
    project.write(SETTINGS, "[\"<s>\"]");
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_system_message_that_has_no_place() {
    let raise = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}";
    let project = project(&format!("{raise}{PLAIN}"));
    with_prompt(&project, &json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "Hi" }]));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn roles_that_do_not_alternate() {
    let raise = "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}\
                 {{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}{% endfor %}";
    let project = project(&format!("{raise}{PLAIN}"));
    with_prompt(&project, &json!([{ "role": "assistant", "content": "Hello!" }, { "role": "user", "content": "Hi" }]));
    assert_snapshot!(project.refused(2, &TRAIN));
}

#[test]
fn a_template_that_fails_on_some_conversations() {
    let fails = "{% if messages | length > 2 %}{{ messages[0].content + 1 }}{% endif %}";
    let project = project(&format!("{PLAIN}{fails}"));
    let turns = [("user", "Hi"), ("assistant", "Hello!"), ("user", "How are you?")];
    let turns = turns.map(|(role, content)| json!({ "role": role, "content": content }));
    with_prompt(&project, &json!(turns));
    assert_snapshot!(project.refused(2, &TRAIN));
}
