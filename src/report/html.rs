//! The page: one self-contained HTML file from the template, the style sheet and the summary in words.
//!
//! The engine escapes every value; only our own style sheet and our own SVG go in as they are (plotters escapes the
//! texts it draws). No scripts, no requests: the page's content security policy forbids both. The words themselves
//! are [`super::view`]'s business.

use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};

use super::summary::RunSummary;
use super::view::view;
use crate::error::{Error, Fault, Result};

/// The page and the parts that it includes; the ending of their names turns escaping on.
const TEMPLATES: [(&str, &str); 12] = [
    ("page.html", include_str!("page/page.html.j2")),
    ("heads.html", include_str!("page/heads.html.j2")),
    ("agreement.html", include_str!("page/agreement.html.j2")),
    ("scores.html", include_str!("page/scores.html.j2")),
    ("combined.html", include_str!("page/combined.html.j2")),
    ("bias.html", include_str!("page/bias.html.j2")),
    ("examples.html", include_str!("page/examples.html.j2")),
    ("drift.html", include_str!("page/drift.html.j2")),
    ("benchmarks.html", include_str!("page/benchmarks.html.j2")),
    ("made.html", include_str!("page/made.html.j2")),
    ("figure.html", include_str!("page/figure.html.j2")),
    ("table.html", include_str!("page/table.html.j2")),
];

/// The whole page.
///
/// # Errors
/// [`Error::Io`] when a chart or the template cannot be drawn, which no summary should bring about.
pub(super) fn page(summary: &RunSummary) -> Result<String> {
    let view = Value::from(Serde(view(summary)?));
    render(view).map_err(|error| Error::Io(vec![Fault::new("report page", format!("cannot be made: {error:#}"))]))
}

fn render(view: Value) -> std::result::Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_filter("code", code);
    for (name, text) in TEMPLATES {
        environment.add_template(name, text)?;
    }
    environment.get_template("page.html")?.render(view)
}

/// What stands between backticks in our own sentences, as `<code>`; everything is escaped.
fn code(text: &str) -> Value {
    let part = |(index, part): (usize, &str)| {
        let escaped = minijinja::HtmlEscape(part);
        if index.is_multiple_of(2) { format!("{escaped}") } else { format!("<code>{escaped}</code>") }
    };
    Value::from_safe_string(text.split('`').enumerate().map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::super::head_summary::MlpSummary;
    use super::super::sample;
    use super::super::words::{count, fixed, interval, percent};
    use super::*;

    #[test]
    fn every_number_of_the_table_stands_in_the_page() {
        let summary = sample::summary();
        let page = page(&summary).expect("a page");
        for objective in &summary.objectives {
            let baselines = objective.baselines.iter().map(|baseline| baseline.accuracy);
            for accuracy in baselines.chain([objective.accuracy]).flatten() {
                assert!(page.contains(&percent(accuracy.value)) && page.contains(&interval(&accuracy)));
            }
            let others = [objective.log_loss.map(|loss| fixed(loss, 3)), objective.ece.map(|ece| fixed(ece, 3))];
            for text in others.into_iter().flatten().chain([count(objective.test.pairs), objective.verdict()]) {
                assert!(page.contains(&text), "{text} is missing");
            }
        }
        assert!(page.contains(&summary.verdict()));
        assert!(page.contains("a style rule, not a judgement"));
    }

    #[test]
    fn a_hidden_layer_is_not_called_the_checkpoints_own() {
        let mut summary = sample::summary();
        summary.objectives[0].fit = None;
        summary.objectives[0].pretrained = true;
        assert!(page(&summary).expect("a page").contains("the checkpoint"));
        summary.objectives[0].pretrained = false;
        summary.objectives[0].mlp = Some(MlpSummary { epochs: 23, best_epoch: 18, stopped_early: true });
        let page = page(&summary).expect("a page");
        assert!(page.contains("best of 23 epochs: 18, stopped early") && !page.contains("the checkpoint"));
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<script>alert(1)</script>]]>{{7*7}}{% raw %}=cmd|\u{202e}' onload='x";
        let mut summary = sample::summary();
        summary.objectives[0].question = hostile.to_owned();
        hostile.clone_into(&mut summary.objectives[0].name);
        hostile.clone_into(&mut summary.name);
        hostile.clone_into(&mut summary.command_next);
        hostile.clone_into(&mut summary.backbone.path);
        summary.objectives[0].audit.sources = vec![hostile.to_owned()];
        summary.objectives[0].audit.dropped.insert(hostile.to_owned(), 9_999);
        summary.combined.weights[0].0 = hostile.to_owned();
        hostile.clone_into(&mut summary.agreement.objectives[0].left);
        hostile.clone_into(&mut summary.densities[0].across);
        hostile.clone_into(&mut summary.pareto.examples[0].prompt);
        let example = &mut summary.examples.mistakes[0];
        (example.prompt, example.chosen.text, example.remark) = (hostile.into(), hostile.into(), hostile.into());
        let page = page(&summary).expect("a page");
        assert!(!page.contains("<script") && !page.contains("]]>") && !page.contains("onload='"));
        assert!(page.contains("&lt;script&gt;") && page.contains("{{7*7}}") && !page.contains('\u{202e}'));
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let page = page(&sample::many()).expect("a page");
        for forbidden in ["src=", "@import", "url(", "<script", "<link", "<iframe"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let links = page.matches("http").count();
        let names = page.matches("http-equiv").count() + page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
        assert_eq!(links, names, "the only addresses are names of standards");
    }

    #[test]
    fn nothing_measured_is_said_and_never_shown_as_nan() {
        let page = page(&sample::empty()).expect("a page");
        assert!(page.contains("no test pairs, so nothing can be said"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}
