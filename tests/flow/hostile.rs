//! Hostile texts in the data themselves: the run ends, and its page and tables hold them as text only.

use crate::project::Project;

/// What a row's answers are made of, so that training has something to learn.
const HOSTILE: [&str; 10] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</style></details><h1>owned</h1>",
    "{{ 7 * 7777 }} {% for x in y %}",
    "=HYPERLINK(\"http://127.0.0.1/\",\"x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u{202e}gnp.exe \u{2066}مرحبا",
    "javascript:alert(1)//",
    "]]> <!-- -->",
    "\u{1b}[31m\u{7} `code`",
];

/// 200 rows over 80 prompts: most chosen answers thank, the rejected ones do not.
fn rows() -> String {
    let mut rows = String::new();
    for index in 0..200 {
        let text = HOSTILE[index % HOSTILE.len()];
        let (kind, curt) = (format!("{text} thank you kindly {index}"), format!("{text} no {index}"));
        // Some labels are turned round, so that there are mistakes and suspicious labels to show.
        let (chosen, rejected) = if index % 7 == 3 { (curt, kind) } else { (kind, curt) };
        let prompt = format!("{text} question {}", index / 5);
        let row = serde_json::json!({ "prompt": prompt, "chosen": chosen, "rejected": rejected });
        rows.push_str(&row.to_string());
        rows.push('\n');
    }
    rows
}

#[test]
fn hostile_data_stay_text() {
    let project = Project::new();
    std::fs::write(project.path("data/hostile.jsonl"), rows()).expect("written");
    let objective =
        "name: hostile\nquestion: \"<script>alert(2)</script>\"\nlabels: ai\ndata:\n  - path: ../data/hostile.jsonl\n";
    std::fs::write(project.path("objectives/hostile.yaml"), objective).expect("written");
    let config = std::fs::read_to_string(project.path("configs/quickstart.yaml")).expect("config");
    let (head, rest) = config.split_once("objectives:\n").expect("objectives");
    let (_, tail) = rest.split_once("combine:").expect("a rule");
    let config = format!("{head}objectives:\n  - file: ../objectives/hostile.yaml\ncombine:{tail}");
    std::fs::write(project.path("configs/quickstart.yaml"), config).expect("written");
    project.train(&["--quiet"]);
    let page = std::fs::read_to_string(project.path("reports/quickstart/index.html")).expect("a page");
    assert!(page.contains("&lt;script&gt;alert(2)"), "the question is shown");
    for markup in ["<script", "<img", "<h1>owned", "54439", "onerror=alert(1)>", "\u{202e}", "\u{1b}", "href=\"java"] {
        assert!(!page.contains(markup), "{markup:?}");
    }
    let shown = HOSTILE.iter().filter(|text| page.contains(&escaped(text)));
    assert!(shown.count() > 1, "examples show some of the texts");
    let csv = std::fs::read_to_string(project.path("reports/quickstart/tables/examples.csv")).expect("a table");
    for record in csv::Reader::from_reader(csv.as_bytes()).records() {
        for cell in &record.expect("a record") {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
        }
    }
}

/// As the page shows it.
fn escaped(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|one| if one.is_control() || ('\u{202a}'..='\u{2069}').contains(&one) { '\u{fffd}' } else { one })
        .collect();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#x27;")
        .replace('/', "&#x2f;")
}
