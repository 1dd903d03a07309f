//! What only training knows, taken over from the report that training wrote of the same heads.

use super::{ObjectiveSummary, RunSummary};

impl RunSummary {
    /// The same with what training said of these heads: how they were fitted, learning curves, bias control, suspicious
    /// labels, readouts tried; and with the benchmarks' figures. As it is where `before` is of other heads.
    #[must_use]
    pub fn with_training_record(mut self, before: Self) -> Self {
        let same = self.heads == before.heads && self.backbone.fingerprint == before.backbone.fingerprint;
        if !same || before.from_registry || before.objectives.len() != self.objectives.len() {
            return self;
        }
        let objectives = self.objectives.into_iter().zip(before.objectives);
        self.objectives = objectives.map(|(now, before)| now.with_training_record(before)).collect();
        self.readouts = before.readouts;
        self.examples.suspicious = before.examples.suspicious;
        self.benchmarks = before.benchmarks;
        self.from_registry = false;
        self
    }
}

impl ObjectiveSummary {
    fn with_training_record(self, before: Self) -> Self {
        Self {
            fit: before.fit,
            mlp: before.mlp,
            controls: before.controls,
            learning_curve: before.learning_curve,
            reference: before.reference,
            ..self
        }
    }
}
