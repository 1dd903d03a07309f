//! The published formats of preference data: their names in YAML, and which keys of a source they read.

/// Formats of preference data.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// TRL pairs: `chosen`, `rejected` and an explicit or implicit `prompt`, as text or as messages.
    Pairs,
    /// Anthropic hh-rlhf: `chosen` and `rejected` are whole `\n\nHuman:` / `\n\nAssistant:` transcripts.
    HhRlhf,
    /// Rated answers: `prompt`, `response`, `scores` (one number, or one number a labeler, per dimension).
    Rated,
    /// PKU-SafeRLHF: `prompt`, `response_0`, `response_1`; `score: helpfulness` reads `better_response_id`,
    /// `score: safety` reads `safer_response_id`.
    PkuSafeRlhf,
    /// HelpSteer and HelpSteer2: `prompt`, `response`, and a column for each attribute, of which `score` names one.
    Helpsteer,
    /// HelpSteer2-Preference: `prompt`, `response_1`, `response_2`, `preference_strength` (-3 to 3, 0 is a tie), or
    /// `chosen`, `rejected` with a strength; the strength is the margin.
    Helpsteer2Preference,
    /// HelpSteer3: `context`, `response1`, `response2`, `overall_preference` (-3 to 3; below 0 the first is better).
    Helpsteer3,
    /// UltraFeedback: `instruction` and rated `completions`; `score` names the rating.
    Ultrafeedback,
    /// Alpaca ranking rows of LLaMA-Factory: `instruction`, `input`, `chosen`, `rejected`, `system`, `history`.
    Alpaca,
    /// `ShareGPT` ranking rows: `conversations`, `chosen` and `rejected` as one message each; or `chosen_messages` and
    /// `rejected_messages`.
    Sharegpt,
    /// axolotl: `system`, `input`, `chosen`, `rejected`.
    Axolotl,
    /// Orca pairs: `system`, `question`, `chosen`, `rejected`.
    Orca,
    /// NeMo-RL: `context` and `completions`, each with a `rank` (low is better, equal ranks tie).
    NemoRl,
    /// Ranked answers: `instruction` and `answers`, with the index of the preferred one, with `ranks`, or best first.
    Rankings,
    /// Chatbot Arena: `prompt`, `response_a`, `response_b` (text or JSON lists of turns) and who won.
    Arena,
    /// `RewardBench`: `prompt`, `chosen`, `rejected`, `subset`, `id`.
    RewardBench,
    /// `RewardBench` 2: lists `chosen` and `rejected`; each of the one beats each of the other.
    RewardBench2,
    /// RM-Bench: lists `chosen` and `rejected` of one answer a style; each of the one beats each of the other.
    RmBench,
    /// Unpaired answers: `prompt`, `completion`, `label` (true or false), or `messages` and `label`; pairs are true
    /// against false within a prompt.
    Unpaired,
    /// `text` and `score` as lists: whole `## Human:` / `## Assistant:` transcripts and a number for each.
    TextScoreList,
    /// Two answers and what several labelers said: `labels`, `votes`, or a column a labeler.
    Labelers,
    /// Two answers and `preferred`: the winner for each objective, of which `score` names one.
    Objectives,
    /// Two answers that were labelled a tie: `prompt`, `response_a`, `response_b`.
    Ties,
    /// NeMo-Aligner regression: `text` and a `label` of nine numbers, -100 is missing; `score` names one.
    NemoRegression,
    /// ArmoRM multi-objective rows: `messages` and a column for each rating, of which `score` names one.
    Armorm,
}

/// Every format and the word it has in YAML and in messages.
const WORDS: [(Format, &str); 25] = [
    (Format::Pairs, "pairs"),
    (Format::HhRlhf, "hh_rlhf"),
    (Format::Rated, "rated"),
    (Format::PkuSafeRlhf, "pku_safe_rlhf"),
    (Format::Helpsteer, "helpsteer"),
    (Format::Helpsteer2Preference, "helpsteer2_preference"),
    (Format::Helpsteer3, "helpsteer3"),
    (Format::Ultrafeedback, "ultrafeedback"),
    (Format::Alpaca, "alpaca"),
    (Format::Sharegpt, "sharegpt"),
    (Format::Axolotl, "axolotl"),
    (Format::Orca, "orca"),
    (Format::NemoRl, "nemo_rl"),
    (Format::Rankings, "rankings"),
    (Format::Arena, "arena"),
    (Format::RewardBench, "reward_bench"),
    (Format::RewardBench2, "reward_bench2"),
    (Format::RmBench, "rm_bench"),
    (Format::Unpaired, "unpaired"),
    (Format::TextScoreList, "text_score_list"),
    (Format::Labelers, "labelers"),
    (Format::Objectives, "objectives"),
    (Format::Ties, "ties"),
    (Format::NemoRegression, "nemo_regression"),
    (Format::Armorm, "armorm"),
];

impl Format {
    /// The word for it in YAML.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(format, _)| *format == self).map_or("", |(_, word)| word)
    }

    /// Every format, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(format, _)| *format)
    }

    /// Whether a source's `rule`, `score` or `min_gap` has a meaning in this format.
    pub fn uses(self, key: &str) -> bool {
        match key {
            "rule" => self.is_rated(),
            "score" => self.has_scores(),
            _ => self.has_gaps(),
        }
    }

    /// Whether each row is one answer with numbers, so that a rule may label the pairs.
    pub fn is_rated(self) -> bool {
        matches!(self, Self::Rated | Self::Helpsteer | Self::NemoRegression | Self::Armorm)
    }

    /// Whether numbers decide, so that the source's `min_gap` has a meaning.
    pub fn has_gaps(self) -> bool {
        self.is_rated() || matches!(self, Self::Ultrafeedback | Self::TextScoreList)
    }

    /// Whether a row has several labels, of which the source's `score` names one.
    pub fn has_scores(self) -> bool {
        self.is_rated() || matches!(self, Self::Ultrafeedback | Self::PkuSafeRlhf | Self::Labelers | Self::Objectives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_its_yaml_word() {
        for format in Format::all() {
            assert_eq!(serde_json::to_value(format).expect("a word"), format.word());
        }
        let schema = serde_json::to_string(&schemars::schema_for!(Format)).expect("a schema");
        assert_eq!(schema.matches("\"const\"").count(), WORDS.len(), "{schema}");
    }
}
