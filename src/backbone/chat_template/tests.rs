//! What a template may not do: run without end, nest without end, speak unclearly.

use std::time::{Duration, Instant};

use super::*;

fn template(text: &str) -> Result<ChatTemplate> {
    ChatTemplate::new(
        text,
        "chat_template.jinja",
        SpecialTokens { bos: Some("<s>".into()), ..SpecialTokens::default() },
    )
}

fn user(content: &str) -> Vec<Message> {
    vec![Message { role: Role::User, content: content.to_owned() }]
}

fn rendered(text: &str) -> String {
    template(text).and_then(|template| template.render(&user("Hi"), true)).unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_loop_without_end_is_stopped_soon() {
    let nested = "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x\
                  {% endfor %}{% endfor %}{% endfor %}";
    let growing = "{% set ns = namespace(x='ab') %}{% for a in range(90000) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
    let recursive = "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}";
    for text in [nested, growing, recursive] {
        let start = Instant::now();
        let said = rendered(text);
        assert!(said.starts_with("error[model]: chat_template.jinja"), "{said}");
        assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
    }
    assert!(rendered(nested).contains("did not end within its budget"));
}

#[test]
fn deep_nesting_of_values_and_of_syntax_ends_in_a_fault_or_a_text() {
    let values = "{% set ns = namespace(x=[]) %}{% for a in range(40000) %}{% set ns.x = [ns.x] %}{% endfor %}done";
    assert_eq!(rendered(values), "done");
    let json = values.replace("done", "{{ ns.x | tojson }}");
    assert!(rendered(&json).contains("nested too deeply"));
    // As deep as the budget lets it: freeing and showing the value must not reach the end of the stack.
    let deepest =
        format!("{{% for outer in range(9) %}}{}{{% endfor %}}", values.replace("{% set ns = namespace(x=[]) %}", ""));
    let deepest = format!("{{% set ns = namespace(x=[]) %}}{deepest}");
    assert!(rendered(&deepest).contains("did not end within its budget"));
    for depth in [500, 20_000, 40_000] {
        let shown = values.replace("40000", &depth.to_string()).replace("done", "{{ ns.x }}");
        assert!(!rendered(&shown).is_empty());
    }
    let syntax = format!("{{{{ {}1{} }}}}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(rendered(&syntax).starts_with("error[model]: chat_template.jinja"));
}

#[test]
fn refusals_and_faults_say_where_and_what_to_do() {
    let refusal = rendered("{{ raise_exception('Conversation roles must alternate user/assistant') }}");
    assert!(
        refusal.starts_with(
            "error[data]: chat_template.jinja: the chat template refuses a conversation (the one that begins"
        ),
        "{refusal}"
    );
    assert!(refusal.contains("take turns"));
    assert!(rendered("{{ raise_exception('System role not supported') }}").contains("first user message"));
    assert!(rendered("a\n{% if %}").starts_with("error[model]: chat_template.jinja:2: "));
    assert!(rendered("a\nb\n{{ messages.none.here }}").starts_with("error[model]: chat_template.jinja:3: "));
}

#[test]
fn the_date_never_changes_and_is_told_of() -> Result<()> {
    let dated = template("{{ strftime_now('%d %b %Y, %A %-I %p %%') }}")?;
    assert!(dated.uses_date() && !template("{{ bos_token }}")?.uses_date());
    assert_eq!(dated.render(&user("Hi"), false)?, "26 Jul 2024, Friday 12 AM %");
    assert!(rendered("{{ strftime_now('%Q') }}").contains("knows no %Q"));
    Ok(())
}

#[test]
fn the_digest_covers_text_and_tokens() -> Result<()> {
    let other = ChatTemplate::new("a", "elsewhere", SpecialTokens::default())?;
    assert_eq!(template("a")?.digest(), template("a")?.digest());
    assert_ne!(template("a")?.digest(), template("b")?.digest());
    assert_ne!(template("a")?.digest(), other.digest());
    Ok(())
}

#[test]
fn templates_and_tokens_are_read_from_a_tokenizer_config() {
    let config = serde_json::json!({
        "bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>", "add_bos_token": true,
        "chat_template": [{"name": "tool_use", "template": "a"}, {"name": "default", "template": "b"}],
    });
    let tokens = SpecialTokens::from_tokenizer_config(&config);
    assert_eq!((tokens.bos.as_deref(), tokens.eos.as_deref(), tokens.pad), (Some("<s>"), Some("</s>"), None));
    assert!(tokens.adds_bos);
    assert_eq!(ChatTemplate::text_in(&config), Some("b"));
    assert_eq!(ChatTemplate::text_in(&serde_json::json!({"chat_template": "c"})), Some("c"));
    assert_eq!(ChatTemplate::text_in(&serde_json::json!({"chat_template": null})), None);
}
