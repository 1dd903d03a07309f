//! 200 hostile strings in every text of a report: nothing becomes markup, a template, a link or a formula.

use std::collections::BTreeSet;

use super::summary::{DomainSummary, Example, GroupAccuracy, RunSummary};
use super::{sample, tables};

const PAYLOADS: [&str; 25] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "]]><!--",
    "--><script>alert(1)</script><!--",
    "{{ 7 * 7 }}",
    "{% include \"page.html\" %}",
    "{# #}{{ self }}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "＝SUM(A1:A9)@SUM(A1:A9)",
    "\t=1+1",
    "\r\n=1+1",
    "\u{202e}txt.exe\u{2066}",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "\u{0}\u{1b}[31mred\u{7}",
    "&lt;script&gt;&#x3c;script&#x3e;",
    "`code`</code><b>",
];

/// What stands around a payload.
const AROUND: [(&str, &str); 8] =
    [("", ""), (" ", " "), ("a", "z"), ("\n", "\n"), ("\"", "\""), ("<b>", "</b>"), ("مرحبا ", " 你好"), ("`", "`")];

fn strings() -> Vec<String> {
    let all: Vec<String> =
        PAYLOADS.iter().flat_map(|payload| AROUND.map(|(before, after)| format!("{before}{payload}{after}"))).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200);
    all
}

/// A run with `text` wherever text of users or files stands.
fn run_with(text: &str) -> RunSummary {
    let mut summary = sample::summary();
    let name = summary.objectives[0].name.clone();
    let json = serde_json::to_string(&summary).expect("JSON");
    // Every use of the first objective's name, wherever it is.
    let name = serde_json::to_string(&name).expect("JSON");
    let hostile = serde_json::to_string(text).expect("JSON");
    summary = serde_json::from_str(&json.replace(&name, &hostile)).expect("a run");
    let objective = &mut summary.objectives[0];
    text.clone_into(&mut objective.question);
    objective.audit.sources = vec![text.to_owned()];
    objective.audit.dropped.insert(text.to_owned(), 3);
    text.clone_into(&mut objective.bias.probes[0].name);
    for part in [&mut summary.name, &mut summary.command_next, &mut summary.backbone.path] {
        text.clone_into(part);
    }
    for list in [&mut summary.examples.mistakes, &mut summary.examples.conflicts, &mut summary.examples.suspicious] {
        list.iter_mut().for_each(|example| fill(example, text));
    }
    text.clone_into(&mut summary.pareto.examples[0].prompt);
    text.clone_into(&mut summary.readouts[0].pooling);
    summary.objectives[0].groups = vec![GroupAccuracy { name: text.to_owned(), accuracy: None }];
    let domain = DomainSummary { name: text.to_owned(), responses: 40, own: true };
    summary.objectives[0].reference.domains = vec![domain];
    if let Some(drift) = &mut summary.drift {
        text.clone_into(&mut drift.old);
        drift.added = vec![text.to_owned()];
        drift.turned.iter_mut().for_each(|example| fill(example, text));
        (drift.removed, drift.data_changed) = (drift.added.clone(), drift.added.clone());
    }
    summary
}

fn fill(example: &mut Example, text: &str) {
    let parts = [&mut example.prompt, &mut example.remark, &mut example.chosen.text, &mut example.rejected.text];
    parts.into_iter().for_each(|part| text.clone_into(part));
}

/// The tags of a page that stand outside its style sheet, as `name attribute=…`.
fn tags(page: &str) -> Vec<&str> {
    let (before, rest) = page.split_once("<style>").expect("a style sheet");
    let (style, after) = rest.split_once("</style>").expect("its end");
    assert!(!style.contains('<'));
    [before, after]
        .into_iter()
        .flat_map(|part| part.split('<').skip(1))
        .map(|tag| tag.split('>').next().unwrap_or(""))
        .collect()
}

/// Names of tags and of their attributes. Values are quoted, and quotes in them escaped, so quotes come in pairs.
fn vocabulary(page: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for tag in tags(page) {
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        let outside: String = tag.split('"').step_by(2).collect::<Vec<&str>>().join(" ");
        words.extend(outside.split([' ', '\n', '=']).filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

#[test]
fn no_hostile_text_becomes_markup_or_a_link() {
    let ordinary = super::html::page(&sample::summary()).expect("a page");
    let known = vocabulary(&ordinary);
    for word in ["script", "iframe", "img", "onload", "onerror", "src", "style"] {
        assert!(!known.contains(word), "{word}");
    }
    for text in strings() {
        let page = super::html::page(&run_with(&text)).expect("a page");
        let new: Vec<String> = vocabulary(&page).difference(&known).cloned().collect();
        assert!(new.is_empty(), "{text:?} made {new:?}");
        for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or("")) {
            let ours = ["#", "tables/", "plots/", "report.json"].iter().any(|start| link.starts_with(start));
            assert!(ours && !link.contains("script:"), "{text:?} made the link {link:?}");
        }
        for character in ['\u{202e}', '\u{2066}', '\u{0}', '\u{1b}', '\u{7}'] {
            assert!(!page.contains(character), "{text:?}");
        }
    }
}

#[test]
fn templates_in_texts_are_shown_and_not_run() {
    let page = super::html::page(&run_with("{{ 7 * 7777 }}{% raw %}${7*7777}")).expect("a page");
    assert!(page.contains("{{ 7 * 7777 }}{% raw %}") && !page.contains("54439"));
}

#[test]
fn no_hostile_text_becomes_a_formula() {
    for text in strings() {
        let mut shown = false;
        for (name, frame) in tables::all(&run_with(&text)).expect("tables") {
            let bytes = tables::csv(&frame).expect("CSV");
            let mut reader = csv::Reader::from_reader(bytes.as_slice());
            let columns = reader.headers().expect("a heading").len();
            for record in reader.records() {
                let record = record.expect("a record");
                assert_eq!(record.len(), columns, "{name}: {text:?}");
                for cell in &record {
                    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
                        && cell.parse::<f64>().is_err();
                    assert!(!formula, "{name}: {cell:?}");
                    shown |= cell == text || cell.strip_prefix('\'') == Some(&text);
                }
            }
        }
        assert!(shown, "{text:?} stands in no table as it is");
    }
}
