//! What other people's renderers write is read back exactly, and no text whatever is too much.
//!
//! Fixture: `tests/fixtures/make_policy_texts.py`.
#![expect(clippy::print_stdout, reason = "tests print the figures they checked")]

use std::collections::BTreeSet;
use std::time::Instant;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Said {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Case {
    format: String,
    package: String,
    template: String,
    conversation: String,
    messages: Vec<Said>,
    prompt_text: String,
    rendered: String,
    rendered_answer: String,
    generated: String,
    answer: String,
    cut: String,
}

impl Case {
    fn name(&self) -> String {
        format!("{} {} {}", self.package, self.template, self.conversation)
    }

    /// What the data rooms make of a message: transcripts are trimmed.
    fn said(&self, content: &str) -> String {
        if self.format == "hh" { content.trim().to_owned() } else { content.to_owned() }
    }

    fn prompt(&self) -> Vec<Message> {
        let role = |word: &str| match word {
            "system" => Role::System,
            "user" => Role::User,
            _ => Role::Assistant,
        };
        let messages = self.messages.iter();
        messages.map(|said| Message { role: role(&said.role), content: self.said(&said.content) }).collect()
    }

    /// What is unlike in the reading of this case's prompt followed by `rest`, which says `answer`.
    fn unlike(&self, rest: &str, answer: &str, complete: bool, faults: &mut Vec<String>) {
        let text = format!("{}{rest}", self.prompt_text);
        let expected = Item { prompt: self.prompt(), response: self.said(answer) };
        for (way, prompt) in [("alone", None), ("with prompt", Some(self.prompt_text.as_str()))] {
            let read = read(&text, prompt);
            let complete = (self.format != "hh").then_some(complete);
            if read.item != expected || read.complete != complete || read.format.word() != self.format {
                faults.push(format!("{} {way}: {text:?}\n  expected {expected:?}\n  read {read:?}", self.name()));
            }
        }
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/fixtures/policy_texts.json")).expect("fixture")
}

#[test]
fn renderings_of_published_templates_are_read_back() {
    let (cases, mut faults) = (cases(), Vec::new());
    for case in &cases {
        case.unlike(&case.rendered, &case.rendered_answer, true, &mut faults);
        case.unlike(&case.generated, &case.answer, true, &mut faults);
        case.unlike(&case.cut, &case.answer, false, &mut faults);
        let (messages, format) = read_prompt(&case.prompt_text);
        if messages != case.prompt() || format.word() != case.format {
            faults.push(format!("{} prompt: {:?}\n  read {messages:?}", case.name(), case.prompt_text));
        }
    }
    let shown: Vec<&str> = faults.iter().take(8).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults in {} cases\n{}", faults.len(), cases.len(), shown.join("\n"));
    let formats: BTreeSet<&str> = cases.iter().map(|case| case.format.as_str()).collect();
    assert!(cases.len() > 200 && formats.len() == 5, "{formats:?}");
}

fn message(role: Role, content: &str) -> Message {
    Message { role, content: content.to_owned() }
}

fn user(content: &str) -> Message {
    message(Role::User, content)
}

/// The prompt's contents, by the first letter of the role, and the response.
fn shown(read: &PolicyText) -> String {
    let prompt = read.item.prompt.iter().map(|message| format!("{}:{}|", &message.role.word()[..1], message.content));
    format!("{}{}", prompt.collect::<String>(), read.item.response)
}

fn with_prompt(prompt: &str, rest: &str) -> PolicyText {
    read(&format!("{prompt}{rest}"), Some(prompt))
}

#[test]
fn padding_and_tokens_at_both_ends_are_no_part_of_what_is_said() {
    let said = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n yes \n<|im_end|>\n";
    let found = read(&format!("<|endoftext|><|endoftext|> <s><s>\n{said}<|endoftext|>\n"), None);
    assert_eq!((shown(&found).as_str(), found.bos, found.complete), ("u:hi| yes \n", 2, Some(true)));
    let cut = read("<pad><bos><start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\nyes \n<pad><pad>", None);
    assert_eq!((shown(&cut).as_str(), cut.bos, cut.complete), ("u:hi|yes \n", 1, Some(false)));
    let doubled = "<s><s> [INST] hi [/INST] yes</s>";
    assert_eq!(shown(&read(doubled, Some("<s> [INST] hi [/INST]"))), "u:hi|yes");
    assert_eq!(shown(&read("<s>[INST] hi [/INST] yes</s>", Some(" [INST] hi [/INST]"))), "u:hi|yes");
    assert_eq!(read("", None).item, Item { prompt: Vec::new(), response: String::new() });
    assert_eq!(shown(&read("<s></s>", None)), "");
}

#[test]
fn plain_text_is_all_response_or_a_prompt_and_a_response() {
    let text = "What is 2 + 2?\nFour. <|im_start|>user\nI said it.</s>";
    let alone = read(text, None);
    assert_eq!((shown(&alone).as_str(), alone.format), (text.trim_end_matches("</s>"), Format::Plain));
    let asked = read(text, Some("What is 2 + 2?"));
    assert_eq!(asked.item.prompt, [user("What is 2 + 2?")]);
    assert_eq!((asked.item.response.as_str(), asked.complete), ("\nFour. <|im_start|>user\nI said it.", None));
    assert_eq!(read(text, Some("Another prompt")), alone);
    assert_eq!(read(text, Some("")), alone);
    assert_eq!(
        read("2 + 2?Four", Some("2 + 2?\n")).item,
        Item { prompt: vec![user("2 + 2?")], response: "Four".into() }
    );
    // It is the prompt that shows the template.
    let said = with_prompt("Human: a study", "\n\nAssistant: no");
    assert_eq!((shown(&said).as_str(), said.format), ("u:Human: a study|\n\nAssistant: no", Format::Plain));
    assert_eq!(read_prompt("<s>Human: a study"), (vec![user("Human: a study")], Format::Plain));
}

#[test]
fn turns_that_the_policy_wrote_are_text_of_its_response() {
    let prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
    let rest = "yes<|im_end|>\n<|im_start|>user\nthanks<|im_end|>\n<|im_start|>assistant\nme too<|im_end|>\n";
    let found = with_prompt(prompt, rest);
    assert_eq!(shown(&found), format!("u:hi|{}", rest.trim_end().trim_end_matches("<|im_end|>")));
    assert_eq!((found.turns_in_response, found.complete), (1, Some(true)));
    // Without the prompt such a text is a conversation like any other.
    let alone = read(&format!("{prompt}{rest}"), None);
    assert_eq!((shown(&alone).as_str(), alone.turns_in_response), ("u:hi|a:yes|u:thanks|me too", 0));
    // But a turn after the last answer can only be the policy's.
    let last = read(&format!("{prompt}yes<|im_end|>\n<|im_start|>user\nthanks"), None);
    assert_eq!(shown(&last), "u:hi|yes<|im_end|>\n<|im_start|>user\nthanks");
    assert_eq!((last.turns_in_response, last.complete), (1, Some(false)));
    let transcript = with_prompt("\n\nHuman: hi\n\nAssistant:", " yes\n\nHuman: and?\n\nAssistant: no");
    assert_eq!(shown(&transcript), "u:hi|yes\n\nHuman: and?\n\nAssistant: no");
    assert_eq!((transcript.turns_in_response, transcript.complete), (1, None));
}

#[test]
fn answers_in_a_row_are_one_and_a_text_without_any_has_none() {
    let prompt = "<|im_start|>user\nhi<|im_end|>\n";
    let answer = "<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>assistant\nindeed<|im_end|>\n";
    assert_eq!(shown(&read(&format!("{prompt}{answer}"), None)), "u:hi|yes\n\nindeed");
    let unanswered = read(prompt, None);
    assert_eq!((shown(&unanswered).as_str(), unanswered.complete), ("u:hi|", Some(false)));
    assert_eq!(shown(&read("<s>[INST] hi [/INST] a [/INST] b</s>", None)), "u:hi|a [/INST] b");
}

#[test]
fn the_header_may_stand_on_either_side_of_the_prompts_end() {
    let whole = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>";
    // All lengths from after "hi" to the end of the header, one of them within the header's own token.
    let (first, last) = (whole.find("<|im_end|>").expect("there"), whole.find("yes").expect("there"));
    for end in (first..=last).filter(|end| !(first + 1..first + 10).contains(end)) {
        assert_eq!(shown(&read(whole, Some(&whole[..end]))), "u:hi|yes", "{:?}", &whole[..end]);
    }
    // What the trainer made the answer begin with is part of the assistant's message.
    assert_eq!(shown(&read(whole, Some(&whole[..last + 2]))), "u:hi|yes");
    // An answer that the prompt closes is the prompt's.
    assert_eq!(shown(&with_prompt(&format!("{whole}\n"), "more<|im_end|>")), "u:hi|a:yes|more");
    assert_eq!(shown(&with_prompt("<|im_start|>user", "\nhi")), "u:|hi");
}

#[test]
fn thoughts_that_say_nothing_are_left_out_and_others_kept() {
    let header = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n";
    let empty = format!("{header}<think>\n\n</think>\n\n");
    for (prompt, rest) in [(header, "<think>\n\n</think>\n\nyes<|im_end|>"), (empty.as_str(), "yes<|im_end|>")] {
        assert_eq!(shown(&with_prompt(prompt, rest)), "u:hi|yes");
        assert_eq!(shown(&read(&format!("{prompt}{rest}"), None)), "u:hi|yes");
    }
    let opened = format!("{header}<think>\n");
    assert_eq!(shown(&with_prompt(&opened, "hm\n</think>\n\nyes<|im_end|>")), "u:hi|<think>\nhm\n</think>\n\nyes");
    for prompt in [header, &empty, &opened] {
        assert_eq!(read_prompt(prompt), (vec![user("hi")], Format::ChatMl));
    }
    let begun = (vec![user("hi"), message(Role::Assistant, "Sure,")], Format::ChatMl);
    assert_eq!(read_prompt(&format!("{header}Sure,")), begun);
}

#[test]
fn dates_of_llama_are_not_the_users_system_message() {
    let text = |system: &str| {
        let header = |role| format!("<|start_header_id|>{role}<|end_header_id|>\n\n");
        format!("<|begin_of_text|>{}{system}<|eot_id|>{}hi<|eot_id|>", header("system"), header("user"))
    };
    let dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
    let said = |system: &str| vec![message(Role::System, system), user("hi")];
    assert_eq!(read_prompt(&text(dates)).0, [user("hi")]);
    assert_eq!(read_prompt(&text(dates.trim_end())).0, [user("hi")]);
    assert_eq!(read_prompt(&text(&format!("Environment: ipython\n{dates}Be kind."))).0, said("Be kind."));
    assert_eq!(read_prompt(&text("Cutting Knowledge Date: said by me")).0, said("Cutting Knowledge Date: said by me"));
    assert_eq!(read_prompt(&text("")).0, said(""));
}

#[test]
fn spaces_are_taken_off_where_the_template_writes_them() {
    let said = |text: &str| shown(&read(text, None));
    assert_eq!(said("<s>[INST] q [/INST] a </s>"), "u:q|a");
    // Cut by length, or after an answer that has no space at its end: the space is the answer's.
    assert_eq!(said("<s>[INST] q [/INST] a "), "u:q|a ");
    assert_eq!(said("<s> [INST] q [/INST] a</s> [INST] r [/INST] b </s>"), "u:q|a:a|u:r|b ");
    assert_eq!(said("<s>[INST]q[/INST] a </s>"), "u:q| a ");
}

#[test]
fn roles_of_other_names_and_transcripts_of_our_own() {
    let text = "<|im_start|>developer\nd<|im_end|><|im_start|>human\na<|im_end|><|im_start|>tool\nb<|im_end|>";
    assert_eq!(read_prompt(text).0, [message(Role::System, "d"), user("a\n\nb")]);
    let unknown = "<|im_start|>user\na<|im_start|>bystander\nb<|im_end|>";
    assert_eq!(read_prompt(unknown).0, [user("a<|im_start|>bystander\nb")]);
    let messages = [message(Role::System, "s"), user("a"), message(Role::Assistant, "b"), user("c")];
    assert_eq!(read_prompt(&super::super::render_prompt(&messages)), (messages.to_vec(), Format::Transcript));
    assert_eq!(shown(&read("Human: a\n\nAssistant: b\n\nHuman: \n\nAssistant: c", None)), "u:a|a:b|c");
    let words: BTreeSet<&str> = Format::ALL.into_iter().map(Format::word).collect();
    assert_eq!(words.len(), Format::ALL.len());
}

/// A small renderer of each format for the properties: the prompt with its generation header, and what closes an
/// answer.
fn render(format: Format, messages: &[Message]) -> (String, &'static str) {
    let all = |turn: &dyn Fn(&Message) -> String| messages.iter().map(turn).collect::<String>();
    match format {
        Format::ChatMl => {
            let turns = all(&|m| format!("<|im_start|>{}\n{}<|im_end|>\n", m.role.word(), m.content));
            (format!("{turns}<|im_start|>assistant\n"), "<|im_end|>\n")
        }
        Format::Llama3 => {
            let header = |role: &str| format!("<|start_header_id|>{role}<|end_header_id|>\n\n");
            let turns = all(&|m| format!("{}{}<|eot_id|>", header(m.role.word()), m.content));
            (format!("<|begin_of_text|>{turns}{}", header("assistant")), "<|eot_id|>")
        }
        Format::Gemma => {
            let word = |role| if role == Role::Assistant { "model" } else { "user" };
            let turns = all(&|m| format!("<start_of_turn>{}\n{}<end_of_turn>\n", word(m.role), m.content));
            (format!("<bos>{turns}<start_of_turn>model\n"), "<end_of_turn>\n")
        }
        Format::Mistral => {
            let turns = all(&|m| match m.role {
                Role::System => format!("[SYSTEM_PROMPT]{}[/SYSTEM_PROMPT]", m.content),
                Role::User => format!("[INST]{}[/INST]", m.content),
                Role::Assistant => format!("{}</s>", m.content),
            });
            (format!("<s>{turns}"), "</s>")
        }
        Format::Transcript | Format::Plain => {
            let speaker = |role| if role == Role::User { "Human" } else { "Assistant" };
            (all(&|m| format!("\n\n{}: {}", speaker(m.role), m.content)) + "\n\nAssistant:", "")
        }
    }
}

const TEMPLATED: [Format; 5] = [Format::ChatMl, Format::Llama3, Format::Gemma, Format::Mistral, Format::Transcript];

fn conversation() -> impl Strategy<Value = (Format, Vec<Message>, String)> {
    // No marker, and no white space at the ends, which some formats do not keep.
    let content = "[a-z{}<|>é🕷]([a-z \n{}<|>:é🕷]{0,12}[a-z{}é🕷])?";
    let turns = (prop::option::of(content), prop::collection::vec((content, content), 0..4), content, content);
    (prop::sample::select(&TEMPLATED), turns).prop_map(|(format, (system, pairs, last, answer))| {
        let system = system.filter(|_| !matches!(format, Format::Gemma | Format::Transcript));
        let mut messages: Vec<Message> = system.iter().map(|said| message(Role::System, said)).collect();
        messages.extend(pairs.iter().flat_map(|(asked, said)| [user(asked), message(Role::Assistant, said)]));
        messages.push(user(&last));
        (format, messages, answer)
    })
}

/// Pieces of markers and of what stands around them, in any order.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "<|im_start|>",
        "<|im_end|>",
        "system",
        "user",
        "assistant",
        "model",
        "\n",
        "\n\n",
        " ",
        "é",
        "x",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|eot_id|>",
        "<start_of_turn>",
        "<end_of_turn>",
        "[INST]",
        "[/INST]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
        "<<SYS>>\n",
        "\n<</SYS>>\n\n",
        "\n\nHuman:",
        "\n\nAssistant:",
        "System:",
        "Human:",
        "<s>",
        "</s>",
        "<pad>",
        "<bos>",
        "<|endoftext|>",
        "<think>\n\n</think>\n\n",
        "<think>\n",
        "<|im_start|>user\n",
        "<|im_start|>assistant\n",
        "Cutting Knowledge Date: ",
        "Today Date: ",
        "<|im_sep|>",
        "\u{2003}",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn conversations_without_markers_are_read_back((format, messages, answer) in conversation()) {
        let (prompt, closing) = render(format, &messages);
        let space = if format == Format::Transcript { " " } else { "" };
        let text = format!("{prompt}{space}{answer}{closing}");
        for given in [None, Some(prompt.as_str())] {
            let found = read(&text, given);
            prop_assert_eq!(&found.item.prompt, &messages);
            prop_assert_eq!(&found.item.response, &answer);
            prop_assert_eq!((found.format, found.turns_in_response), (format, 0));
            prop_assert_eq!(found.complete, (format != Format::Transcript).then_some(true));
        }
        prop_assert_eq!(read_prompt(&prompt), (messages, format));
    }

    /// Nothing that the policy writes changes what it was asked, nor does any of it get lost but end tokens.
    #[test]
    fn no_answer_changes_its_prompt((format, messages, _) in conversation(), rest in hostile()) {
        let (prompt, _) = render(format, &messages);
        let found = with_prompt(&prompt, &format!("a{rest}z"));
        prop_assert_eq!(&found.item.prompt, &messages);
        prop_assert_eq!(&found.item.response, &format!("a{rest}z"));
        prop_assert_eq!(with_prompt(&prompt, &rest).item.prompt, messages);
    }

    #[test]
    fn any_text_is_read(text in hostile(), end in 0_usize..200) {
        let (alone, (_, format)) = (read(&text, None), read_prompt(&text));
        prop_assert_eq!(alone.format, format);
        prop_assert_eq!(alone.complete.is_none(), matches!(format, Format::Transcript | Format::Plain));
        let pieces: Vec<&str> = alone.item.response.split("\n\n").collect();
        prop_assert!(pieces.iter().all(|piece| text.contains(piece)), "{alone:?}");
        let end = (0..=end.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        let found = read(&text, Some(&text[..end]));
        prop_assert!(text.contains(&found.item.response) || found.item == alone.item, "{found:?}");
        let turns = found.item.prompt.windows(2).all(|pair| pair[0].role != pair[1].role);
        prop_assert!(turns, "{found:?}");
    }
}

#[test]
fn two_megabytes_of_markers_are_read_in_one_go() {
    let pieces = [
        "<|im_start|>",
        "<|im_start|>user\n",
        "<|im_start|>assistant\n",
        "<|im_end|>",
        "<|im_end|>\n ",
        "[INST]",
        "[/INST]",
        "[INST][/INST]",
        "[SYSTEM_PROMPT]",
        "\n\nHuman:",
        "\n\nAssistant:",
        "\n",
        "\n\n\n",
        "<s>",
        "<pad> ",
        " ",
        "<",
        "[",
        "<|start_header_id|>system<|end_header_id|>",
        "<start_of_turn>model\n<end_of_turn>\n",
        "System:",
        "Human:",
    ];
    let (mut total, mut slowest) = (0.0, (0.0, String::new()));
    for start in ["", "<|im_start|>user\n"] {
        for piece in pieces {
            let text = format!("{start}{}", piece.repeat(2_000_000 / piece.len()));
            let begin = Instant::now();
            let (halved, alone) = (read(&text, Some(&text[..text.len() / 2])), read(&text, None));
            let seconds = begin.elapsed().as_secs_f64();
            // A blank line joins answers in a row, so markers may become somewhat longer text, but never much.
            assert!(halved.item.response.len() <= text.len() && alone.item.response.len() <= text.len());
            total += seconds;
            slowest = if seconds > slowest.0 { (seconds, format!("{start}{piece}")) } else { slowest };
        }
    }
    println!("{} readings of 2 MB in {total:.2} s, the slowest two {slowest:?}", 4 * pieces.len());
}
