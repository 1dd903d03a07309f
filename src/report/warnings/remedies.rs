//! What to do about each kind of warning, in whole sentences.

pub(super) const SPLIT_CONFLICTS: &str = "The accuracy stands, because no head was fitted on them; but the sources' \
                                          own splits overlap, so their published figures may not.";
pub(super) const DATA_CHANGED: &str = "Prompts are split by hash, so a test prompt of now was one then; but rows that a \
                                       source itself marks as held out may have been trained on. If marks changed, \
                                       train again.";
pub(super) const CHANCE: &str = "It is not shown to know more than a coin, whatever the baselines do: do not use it. \
                                 Read some pairs and say whether you would agree with their labels; then collect more \
                                 of them, or try a larger backbone or another layer.";
pub(super) const FEW_TEST_PAIRS: &str =
    "Collect more pairs on new prompts; more pairs on the same prompts help little.";
pub(super) const RULE_LABELS: &str = "Read its accuracy as how well the head imitates the rule. Where the rule can be \
                                      computed at scoring time, that is cheaper and exact.";
pub(super) const FOLLOWS_LENGTH: &str =
    "A policy trained on it will learn length. Add pairs of equal length, or lower this objective's weight.";
pub(super) const CALIBRATION: &str = "Use the score to rank, not as a probability. More calibration pairs from the \
                                      same source as the test pairs usually mend this.";
pub(super) const TIES: &str = "Ties only say that scores lie close together; the few decided pairs decide the \
                               direction. Add decided pairs, or look whether the source's winner was read wrongly.";
pub(super) const MANY_DROPPED: &str =
    "Look at the reasons in the data audit below; the source's format or fields may be set wrongly.";
pub(super) const CONTRADICTIONS: &str = "If labelers really disagree, give the share of votes as a soft label; if \
                                         not, look for swapped columns in one of the sources.";
pub(super) const FEW_REFERENCES: &str = "Name a file with more responses, best of the policy that will be trained, \
                                         under `reference`; or collect more pairs.";
pub(super) const FAR_REFERENCE: &str = "Use `normalizer: robust` or `quantile`, on which single scores have little \
                                        effect, or read the responses that score so.";
pub(super) const SEPARATED: &str = "Some direction separates the training pairs, and only the penalty keeps the \
                                    weights from growing. Set a larger `l2`, or `l2: auto`; and look for a feature \
                                    that gives the label away.";
pub(super) const NOT_CONVERGED: &str = "The loss on held-out pairs might have fallen further. Raise `max_epochs` or \
                                        `learning_rate` under `head.mlp`, or use a linear head.";

pub(super) fn perfect(repeated: usize) -> &'static str {
    if repeated > 0 {
        "The test may be contaminated: take answers that stand in both splits out of one of them, train again, and \
         look for whatever else gives the label away."
    } else {
        "Look for whatever gives the label away, such as a marker that only chosen answers carry; believe it once \
         the head does as well on pairs from another source."
    }
}

pub(super) fn nearly_same(left: &str, right: &str, correlation: f64) -> String {
    if correlation > 0.0 {
        format!("Together they count one thing twice. Drop one of {left} and {right}, or halve their weights.")
    } else {
        format!("They cancel each other out in a sum. Check that the labels of {left} and {right} are not swapped.")
    }
}

pub(super) fn grid_edge(largest: bool) -> String {
    format!("Add {} values to `l2_grid` and train again.", if largest { "larger" } else { "smaller" })
}
