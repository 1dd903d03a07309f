//! The model card of an exported classifier: what it is, how to score with it, what its numbers mean.

use std::fmt::Write;

use super::Heads;
use crate::backbone::ExportedModel;
use crate::registry::Manifest;

/// The card as Markdown.
pub(super) fn card(manifest: &Manifest, heads: &Heads, model: &ExportedModel) -> String {
    let Heads { classifier, folded, not_folded } = heads;
    let class = model.config["architectures"][0].as_str().unwrap_or_default();
    let mut card = String::from(
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags:\n- reward-model\n---\n\n",
    );
    let _ = writeln!(card, "# {}\n", manifest.name);
    let _ = writeln!(
        card,
        "A reward model: `{class}` of {}, written by {}. Its transformer is frozen; {} fitted by Bradley-Terry on \
         preference pairs.\n",
        manifest.backbone.architecture,
        manifest.created_by,
        if *folded { "its one logit is the weighted sum of heads" } else { "each logit is a head" }
    );
    objectives(&mut card, manifest);
    if *folded {
        card.push_str(
            "\nThe logit `reward` is the combined score: the sum over the objectives of weight × normalized score.\n",
        );
    } else {
        if let Some(why) = not_folded {
            let _ = writeln!(card, "\nThe combined score is not one of the logits: {why}.");
        }
        card.push_str(
            "\nA logit is an objective's calibrated raw score: the difference of two answers' logits is the log-odds \
             that labelers prefer the first.\n",
        );
    }
    if model.offsets.iter().any(|offset| *offset != 0.0) {
        let offsets: Vec<String> = classifier
            .labels
            .iter()
            .zip(&model.offsets)
            .map(|(label, offset)| format!("`{label}` {offset:.9}"))
            .collect();
        let _ = writeln!(
            card,
            "\n`{class}` has no constant term: add {} to the logits to get the scores of the registry. Differences of \
             answers, and so best-of-n and the gradients of an RL loop, do not need it.",
            offsets.join(", ")
        );
    }
    usage(&mut card, model);
    card
}

fn objectives(card: &mut String, manifest: &Manifest) {
    card.push_str(
        "| objective | question | weight | normalizer | held-out accuracy | labels |\n|---|---|---|---|---|---|\n",
    );
    for entry in &manifest.objectives {
        let percent = |value: f64| format!("{:.1}%", 100.0 * value);
        let accuracy = match (entry.quality.accuracy, entry.quality.interval) {
            (Some(value), Some((low, high))) => format!("{} ({} to {})", percent(value), percent(low), percent(high)),
            _ => "not measured".to_owned(),
        };
        let labels: Vec<String> = entry.labels.iter().map(|(source, count)| format!("{source} {count}")).collect();
        let normalizer = serde_json::to_value(&entry.normalizer).unwrap_or_default();
        let kind = normalizer["kind"].as_str().or(normalizer.as_str()).unwrap_or_default();
        let _ = writeln!(
            card,
            "| {} | {} | {} | {kind} | {accuracy} | {} |",
            entry.name,
            entry.question.replace('|', "\\|").replace('\n', " "),
            entry.weight,
            labels.join(", ")
        );
    }
}

fn usage(card: &mut String, model: &ExportedModel) {
    card.push_str("\n## How to score\n\n```python\nimport torch\nfrom transformers import AutoModelForSequenceClassification, AutoTokenizer\n\n");
    card.push_str("folder = \".\"\nmodel = AutoModelForSequenceClassification.from_pretrained(folder).eval()\n");
    card.push_str("tokenizer = AutoTokenizer.from_pretrained(folder)\n\n");
    if model.causal {
        card.push_str(
            "# `golden.json` has whole texts as the model reads them: before + response + after.\n\
             text = before + response + after\n\
             inputs = tokenizer(text, add_special_tokens=False, return_tensors=\"pt\")\n",
        );
    } else {
        card.push_str(
            "# A prompt of one user message is its text; a longer one is \"Human: …\\n\\nAssistant: …\\n\\nHuman: …\".\n\
             inputs = tokenizer(prompt, response, return_tensors=\"pt\")\n",
        );
    }
    card.push_str("with torch.no_grad():\n    print(model(**inputs).logits)\n```\n\n");
    let batches = if model.causal && model.config["pad_token_id"].is_null() {
        "Score one text at a time: no token of this model can pad without being read as the end of a text."
    } else {
        "Score one text at a time, or pad on the right with an attention mask."
    };
    card.push_str(batches);
    card.push_str(
        " A text over the limit of tokens must lose the oldest tokens of its prompt first; the \
         tokenizer's own truncation cuts elsewhere.\n\n`golden.json` holds texts with their token ids and logits: \
         recompute them before you trust a conversion.\n",
    );
}
