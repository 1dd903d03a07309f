//! The sentence, the partial and the table of benchmarks.

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};

use super::*;

const PARTIAL: &str = include_str!("../page/benchmarks.html.j2");

fn estimate(value: f64, low: f64, high: f64) -> Estimate {
    Estimate { value, low, high, n: 1234, clusters: 600 }
}

fn summary(name: &str) -> BenchmarkSummary {
    let figures = || {
        vec![
            Figure::Accuracy(estimate(0.7126, 0.669, 0.7551)),
            Figure::Composite { value: 0.5, n: 22 },
            Figure::Undefined { why: format!("no rows of {name}") },
        ]
    };
    let row = |predictor: &str| BenchmarkRow { predictor: predictor.to_owned(), figures: figures() };
    let table = BenchmarkTable {
        title: name.to_owned(),
        columns: vec!["Factuality".to_owned(), "Ties".to_owned(), name.to_owned()],
        rows: vec![row("combined"), row(name), row(LONGER_WINS), row(SHORTER_WINS)],
    };
    BenchmarkSummary {
        name: name.to_owned(),
        file: name.to_owned(),
        place: format!("folder/{name}"),
        digest: "0123456789abcdef".to_owned(),
        rows: 1256,
        tables: vec![table],
        notes: vec![format!("About {name}.")],
        conclusion: conclusion(Some(&estimate(0.043, 0.012, 0.074)), LONGER_WINS),
    }
}

/// The partial as the page includes it.
fn rendered(benchmarks: &[BenchmarkSummary]) -> String {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().expect("a syntax");
    environment.set_syntax(syntax);
    environment.add_template("benchmarks.html", PARTIAL).expect("a template");
    let template = environment.get_template("benchmarks.html").expect("added");
    template.render(minijinja::context! { benchmarks => Value::from(Serde(view(benchmarks))) }).expect("rendered")
}

#[test]
fn the_sentence_says_which_side_of_zero_the_interval_lies() {
    let said = |low: f64, value: f64, high: f64, rule: &str| conclusion(Some(&estimate(value, low, high)), rule);
    assert_eq!(
        said(0.012, 0.043, 0.074, LONGER_WINS),
        "The combined score is better than picking the longer answer: +4.3 points over 1\u{202f}234 rows \
         (95% interval 1.2 to 7.4)."
    );
    assert!(said(-0.02, 0.01, 0.04, SHORTER_WINS).contains("is not shown to be better than picking the shorter"));
    assert!(said(-0.09, -0.05, -0.01, LONGER_WINS).contains("is worse than picking the longer answer: \u{2212}5.0"));
    // Touching zero is not enough.
    assert!(said(0.0, 0.02, 0.04, LONGER_WINS).contains("is not shown"));
    assert!(conclusion(None, LONGER_WINS).contains("cannot be said"));
}

#[test]
fn the_partial_shows_every_figure_with_its_label() {
    let page = rendered(&[summary("RewardBench 2")]);
    for text in [
        "<section id=\"benchmarks\"",
        "<h3>RewardBench 2</h3>",
        "<th scope=\"row\">combined</th>",
        "<th scope=\"row\">longer wins</th>",
        "<td data-label=\"Factuality\" class=\"number main\">71.3%<small>66.9 to 75.5</small></td>",
        "<td data-label=\"Ties\" class=\"number\">50.0%</td>",
        "Factuality <small>1\u{202f}234 rows</small>",
        "Not defined: RewardBench 2 (no rows of RewardBench 2).",
    ] {
        assert!(page.contains(text), "{text} is missing in\n{page}");
    }
    assert!(!page.contains("NaN") && !page.contains("{%"));
    assert_eq!(page.matches("<tr>").count(), 5);
    assert!(!rendered(&[]).contains("<table"));
}

const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "</style></td><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)",
    "]]><!-- --><b>",
    "{{ 7 * 7777 }}{% raw %}{# #}",
    "{% include \"page.html\" %}",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1\r\n=1+1",
    "\u{202e}txt.exe\u{2066}\u{200f}\u{061c}\u{2028}\u{2029}",
    "\u{0}\u{1b}[31mred\u{7}",
];

/// Figures with `text` in the place of every text that a file or a manifest can hold.
fn hostile(text: &str) -> BenchmarkSummary {
    let mut one = summary(text);
    for part in [&mut one.place, &mut one.digest, &mut one.conclusion, &mut one.notes[0], &mut one.tables[0].title] {
        text.clone_into(part);
    }
    one.tables[0].columns.iter_mut().for_each(|column| text.clone_into(column));
    one.tables[0].rows.iter_mut().for_each(|row| text.clone_into(&mut row.predictor));
    one.tables[0].rows[0].figures[2] = Figure::Undefined { why: text.to_owned() };
    one
}

/// A file of the same name, so that folder and digest are shown too.
fn beside(text: &str) -> Vec<BenchmarkSummary> {
    let (one, mut other) = (hostile(text), hostile(text));
    other.digest.push_str(" other");
    vec![one, other]
}

/// What stands between `<` and `>` without what stands in quotes: names of tags and attributes.
fn markup(page: &str) -> std::collections::BTreeSet<String> {
    let tags = page.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    tags.map(|tag| tag.split('"').step_by(2).collect::<String>()).collect()
}

#[test]
fn hostile_text_stays_text_on_the_page() {
    let known = markup(&rendered(&beside("ordinary")));
    assert!(known.contains("section id= aria-labelledby="), "{known:?}");
    for text in HOSTILE {
        let page = rendered(&beside(text));
        let new: Vec<String> = markup(&page).difference(&known).cloned().collect();
        assert!(new.is_empty(), "{text:?} made {new:?}");
        assert!(!page.contains("54439") && !page.contains("]]>"), "{text:?}");
        let steers = |one: char| {
            one.is_control() && one != '\n' || "\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{2029}".contains(one)
        };
        assert!(!page.contains(steers), "{text:?}");
        let mut run = crate::report::sample::summary();
        run.benchmarks = beside(text);
        let whole = crate::report::html::page(&run).expect("a page");
        assert!(whole.contains("Published benchmarks") && !whole.contains("54439"), "{text:?}");
        assert!(!whole.contains("<script") && !whole.contains("<img") && !whole.contains("<svg o"), "{text:?}");
    }
    assert!(rendered(&beside(HOSTILE[0])).contains("&lt;script&gt;"));
    assert!(rendered(&beside(HOSTILE[5])).contains("{{ 7 * 7777 }}{% raw %}{# #}"));
}

#[test]
fn hostile_text_is_no_formula_in_the_table() {
    for text in HOSTILE {
        let bytes = crate::report::tables::csv(&frame(&beside(text)).expect("a table")).expect("CSV");
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let columns = reader.headers().expect("a heading").len();
        let (mut rows, mut shown) = (0, 0);
        for record in reader.records() {
            let record = record.expect("a record");
            assert_eq!(record.len(), columns, "{text:?}");
            for cell in &record {
                let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && cell.parse::<f64>().is_err();
                assert!(!formula, "{cell:?}");
                shown += usize::from(cell == text || cell.strip_prefix('\'') == Some(text));
            }
            rows += 1;
        }
        // Benchmark, table, predictor and column of every row, and the digest of half of them.
        assert_eq!((rows, shown), (24, 4 * 24 + 12), "{text:?}");
    }
}

#[test]
fn files_of_one_name_are_shown_with_their_folders() {
    let of = |file: &str, place: &str, digest: &str| {
        let (file, place, digest) = (file.to_owned(), place.to_owned(), digest.to_owned());
        BenchmarkSummary { file, place, digest, ..summary("RewardBench") }
    };
    let all = [
        of("test.jsonl", "a/test.jsonl", "1111111111112222"),
        of("test.jsonl", "b/test.jsonl", "3333333333334444"),
        of("test.jsonl", "b/test.jsonl", "5555555555556666"),
        of("alone.jsonl", "b/alone.jsonl", "7777777777778888"),
    ];
    let shown: Vec<String> = all.iter().map(|one| one.files_among(&all)).collect();
    assert_eq!(shown, ["a/test.jsonl", "b/test.jsonl (333333333333)", "b/test.jsonl (555555555555)", "alone.jsonl"]);
    assert_eq!(all[0].files_among(&all[..1]), "test.jsonl");
    assert!(all[0].is_of_same_files(&of("other", "c/other", "1111111111112222")));
    let page = rendered(&all[..2]);
    assert!(page.contains("a&#x2f;test.jsonl, 1") && page.contains("b&#x2f;test.jsonl, 1"), "{page}");
}

#[test]
fn classes_of_the_partial_stand_in_the_style_sheet() {
    let style = include_str!("../../../assets/report.css");
    for class in PARTIAL.split("class=\"").skip(1).filter_map(|rest| rest.split(['"', '{']).next()) {
        assert!(style.contains(&format!(".{class}")), "{class}");
    }
}

#[test]
fn the_table_has_a_row_per_figure() {
    let frame = frame(&[summary("RM-Bench"), summary("JudgeBench")]).expect("a table");
    assert_eq!(frame.shape(), (2 * 4 * 3, 10));
    let number = |name: &str, row: usize| frame.column(name).expect(name).f64().expect("numbers").get(row);
    assert_eq!([0, 1, 2].map(|row| number("value", row)), [Some(0.7126), Some(0.5), None]);
    assert_eq!([0, 1, 2].map(|row| number("low", row)), [Some(0.669), None, None]);
    assert_eq!(number("high", 12), Some(0.7551));
    let counts = frame.column("n").expect("n").u64().expect("counts");
    assert_eq!([0, 1, 2].map(|row| counts.get(row)), [Some(1234), Some(22), Some(0)]);
    assert_eq!(super::frame(&[]).expect("a table").shape(), (0, 10));
}

#[test]
fn a_summary_reads_back_from_json() {
    let summary = summary("RewardBench");
    let text = serde_json::to_string(&summary).expect("JSON");
    assert_eq!(serde_json::from_str::<BenchmarkSummary>(&text).expect("JSON"), summary);
    assert!(text.contains(r#""kind":"accuracy""#) && text.contains(r#""kind":"undefined","why""#), "{text}");
}
