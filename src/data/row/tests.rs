//! Tests of reading single rows.

use super::*;

fn said(text: &str) -> String {
    let object = parse_object(text).expect("an object");
    parse_item(&object, "rows:7").expect_err("refused").to_string()
}

fn read(text: &str) -> Item {
    parse_item(&parse_object(text).expect("an object"), "rows:7").expect("an item")
}

#[test]
fn what_a_json_value_would_let_pass_is_refused() {
    for (text, expected) in [
        (r#"{"a":1,"a":2}"#, "twice the key \"a\""),
        (r#"{"a":[{"b":1,"b":1}]}"#, "twice the key \"b\""),
        (r#"{"a":1e999}"#, "number out of range"),
        (r#"{"a":1,}"#, "column 8: cannot be read as JSON: trailing comma"),
        (r#"{"a":"\ud800"}"#, "hex escape"),
        (r#"{"a":1} {"a":2}"#, "trailing characters"),
        ("{\"a\":\n1,}", "line 2, column 3"),
        ("{", "jq -c ."),
        ("7", "a number, not an object"),
    ] {
        let fault = parse_object(text).expect_err("refused").to_string();
        assert!(fault.contains(expected), "{text} gave {fault}");
    }
    assert!(parse_object(&"[".repeat(100_000)).is_err(), "depth is limited");
}

#[test]
fn values_survive_strict_parsing() {
    let text = r#"{"a":[1,-2,0.1,"x\u0000",null,true],"b":{"c":18446744073709551615}}"#;
    let strict = parse_object(text).expect("an object");
    assert_eq!(Some(strict), serde_json::from_str::<Value>(text).expect("JSON").as_object().cloned());
}

#[test]
fn the_layouts_of_an_item_agree() {
    let text = read(r#"{"prompt":"Hi","response":"Hello","extra":1}"#);
    assert_eq!((text.prompt.len(), text.response.as_str()), (1, "Hello"));
    for other in [
        r#"{"prompt":[{"role":"user","content":"Hi"}],"response":[{"role":"assistant","content":"Hello"}]}"#,
        r#"{"messages":[{"role":"human","content":"Hi"},{"role":"gpt","content":"Hello"}]}"#,
        r#"{"messages":[{"from":"human","value":"Hi"},{"from":"bot","value":"Hello"}]}"#,
    ] {
        assert_eq!(read(other), text);
    }
}

#[test]
fn faults_name_place_field_and_what_is_accepted() {
    for (text, expected) in [
        (r#"{"promt":"a","response":"b"}"#, "rows:7, field \"prompt\": missing"),
        (r#"{"promt":"a","response":"b"}"#, "the row has \"promt\""),
        (r#"{"prompt":null,"response":"b"}"#, "field \"prompt\": null"),
        (r#"{"prompt":3,"response":"b"}"#, "field \"prompt\": a number"),
        (r#"{"prompt":"a","response":" \n"}"#, "field \"response\": the response is empty"),
        (r#"{"prompt":" ","response":"b"}"#, "field \"prompt\": empty text"),
        (r#"{"messages":[]}"#, "an empty list"),
        (r#"{"messages":[{"role":"user","content":"a"}]}"#, "the last message is the user's"),
        (r#"{"messages":[{"role":"assistant","content":"a"}]}"#, "no user message"),
        (r#"{"messages":[{"role":"asistant","content":"a"}]}"#, "did you mean `assistant`?"),
        (r#"{"messages":[{"role":"user"}]}"#, "field \"messages[0].content\": missing"),
    ] {
        let message = said(text);
        assert!(message.contains(expected), "{text} gave {message}");
    }
}

#[test]
fn the_order_of_roles_is_checked() {
    let row = |roles: &[&str]| {
        let list: Vec<String> = roles.iter().map(|role| format!(r#"{{"role":"{role}","content":"x"}}"#)).collect();
        format!(r#"{{"messages":[{}]}}"#, list.join(","))
    };
    assert!(said(&row(&["user", "system", "assistant"])).contains("messages[1]\": a system message"));
    assert!(said(&row(&["user", "assistant", "assistant"])).contains("messages[2]\": a second assistant"));
    assert_eq!(read(&row(&["system", "user", "assistant"])).prompt.len(), 2);
}
