//! What the keys of a head mean together.

use super::label_rule::stands;
use super::{Check, Node, Problem};
use crate::config::node::Value;
use crate::config::raw::{RawControl, RawControlMode, RawHead, RawHeadChoice, RawObjective, RawPenalty, RawProbe};
use crate::config::{ControlConfig, ControlMode, Format, HeadConfig, HeadKind, Loss, Probe};

/// The keys of a head that only training reads.
const TRAINING: [&str; 7] =
    ["l2", "l2_grid", "folds", "loss", "label_smoothing", "center_rewards_coefficient", "control"];
/// The keys of a head that only losses of pairs read.
const PAIRWISE: [&str; 2] = ["label_smoothing", "center_rewards_coefficient"];
/// What an entry of `head.control` measures.
const PROBES: &str = "probe: length, markdown or refusal; or pattern: a regular expression";

impl Check {
    pub(super) fn head(&mut self, raw: RawHeadChoice, node: &Node) -> HeadKind {
        let raw = match raw {
            RawHeadChoice::Word(_) => return HeadKind::Pretrained(None),
            RawHeadChoice::Settings(raw) => raw,
        };
        if let Some(label) = raw.pretrained {
            self.without_meaning(node, &TRAINING, "pretrained", "a pretrained head is not fitted");
            self.without_meaning(node, &["mlp"], "pretrained", "a pretrained head is not fitted");
            return HeadKind::Pretrained(Some(label));
        }
        if let Some(mlp) = raw.mlp {
            self.without_meaning(node, &TRAINING, "mlp", "it is for linear heads");
            return HeadKind::Mlp(mlp);
        }
        HeadKind::Linear(self.linear_head(raw, node))
    }

    /// Keys that have no meaning beside another one.
    fn without_meaning(&mut self, node: &Node, keys: &[&str], beside: &str, why: &str) {
        for key in keys.iter().map(|key| format!("head.{key}")).filter(|key| stands(node, key)) {
            let problem = Problem::new(node.origin_at(&key), format!("{key} has no meaning with head.{beside}"));
            self.problems.push(problem.help(format!("remove it: {why}")));
        }
    }

    fn linear_head(&mut self, raw: RawHead, node: &Node) -> HeadConfig {
        for (index, pair) in raw.l2_grid.windows(2).enumerate() {
            if let [before, after] = pair
                && after <= before
            {
                let key = format!("head.l2_grid.{}", index + 1);
                let problem = Problem::new(node.origin_at(&key), format!("{key} is {after} and comes after {before}"));
                self.problems.push(problem.accepts("ascending numbers"));
            }
        }
        let l2 = match raw.l2 {
            RawPenalty::Chosen(_) => None,
            RawPenalty::Given(l2) => Some(l2),
        };
        HeadConfig {
            l2,
            l2_grid: raw.l2_grid,
            folds: raw.folds,
            loss: raw.loss,
            label_smoothing: raw.label_smoothing,
            center_rewards_coefficient: raw.center_rewards_coefficient,
            control: self.controls(&raw.control, node),
        }
    }

    /// Regression learns from ratings: sources that are known to have none, and keys about pairs, are a mistake.
    pub(super) fn regression(&mut self, raw: &RawObjective, node: &Node) {
        let RawHeadChoice::Settings(RawHead { loss: Loss::Regression, pretrained: None, .. }) = &raw.head else {
            return;
        };
        for key in PAIRWISE.into_iter().map(|key| format!("head.{key}")).filter(|key| stands(node, key)) {
            let found = format!("{key} has no meaning with loss: regression");
            self.problems.push(Problem::new(node.origin_at(&key), found).help("remove it: ratings are no pairs"));
        }
        for (index, source) in raw.data.iter().flatten().enumerate() {
            if let Some(format) = source.format.filter(|format| !format.is_rated()) {
                let key = format!("data.{index}.format");
                let found = format!("{key} is {}, but loss: regression learns from ratings", format.word());
                let rated: Vec<&str> = Format::all().filter(|format| format.is_rated()).map(Format::word).collect();
                let problem = Problem::new(node.origin_at(&key), found).accepts(rated.join(", "));
                self.problems.push(problem.help("take the source out, or another head.loss"));
            }
            if source.rule.is_some() {
                let key = format!("data.{index}.rule");
                let found = format!("{key} labels pairs, but loss: regression learns from ratings");
                self.problems.push(Problem::new(node.origin_at(&key), found).help("remove rule, or take another loss"));
            }
        }
    }

    fn controls(&mut self, raw: &[RawControl], node: &Node) -> Vec<ControlConfig> {
        let mut controls: Vec<ControlConfig> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let key = format!("head.control.{index}");
            let (probe, mode) = (self.probe(raw, node, &key), self.control_mode(raw, node, &key));
            let (Some(probe), Some(mode)) = (probe, mode) else { continue };
            if controls.iter().any(|known| known.probe == probe) {
                let found = format!("{key} names the probe \"{}\" a second time", probe.name());
                self.problems.push(Problem::new(node.origin_at(&key), found).help("remove one of the two"));
                continue;
            }
            controls.push(ControlConfig { probe, mode });
        }
        controls
    }

    /// Exactly one of `probe` and `pattern`.
    fn probe(&mut self, raw: &RawControl, node: &Node, key: &str) -> Option<Probe> {
        let (probe, pattern) = (format!("{key}.probe"), format!("{key}.pattern"));
        match (raw.probe, &raw.pattern) {
            _ if stands(node, &probe) && stands(node, &pattern) => {
                let problem = Problem::new(node.origin_at(&pattern), format!("{key} has both probe and pattern"));
                self.problems.push(problem.accepts(PROBES).help("write two entries, one for each"));
                None
            }
            (Some(RawProbe::Length), _) => Some(Probe::Length),
            (Some(RawProbe::Markdown), _) => Some(Probe::Markdown),
            (Some(RawProbe::Refusal), _) => Some(Probe::Refusal),
            (None, Some(text)) => self.regular_expression(text, node, &pattern).map(Probe::Pattern),
            // What stands there with a value that cannot be used has been reported.
            (None, None) => {
                if !stands(node, &probe) && !stands(node, &pattern) && is_mapping(node, key) {
                    let problem = Problem::new(node.origin_at(key), format!("{key} names nothing to measure"));
                    self.problems.push(problem.accepts(PROBES));
                }
                None
            }
        }
    }

    fn control_mode(&mut self, raw: &RawControl, node: &Node, key: &str) -> Option<ControlMode> {
        let place = format!("{key}.strength");
        if raw.mode.is_none() && stands(node, &format!("{key}.mode")) {
            return None; // a mode that was refused
        }
        match (raw.mode.unwrap_or(RawControlMode::Constraint), raw.strength) {
            (RawControlMode::Constraint, None) => Some(ControlMode::Constraint),
            (RawControlMode::Penalty, Some(strength)) => Some(ControlMode::Penalty { strength }),
            (RawControlMode::Constraint, Some(_)) => {
                let problem = Problem::new(node.origin_at(&place), format!("{place} has no meaning without a penalty"));
                self.problems.push(problem.help("add mode: penalty, or remove strength: a constraint is exact"));
                None
            }
            (RawControlMode::Penalty, None) => {
                if !stands(node, &place) {
                    let found = format!("key \"{place}\" is missing: mode: penalty needs it");
                    self.problems.push(Problem::new(node.origin_at(key), found).accepts("a number above 0"));
                }
                None
            }
        }
    }
}

/// Whether there is a mapping at the dotted `path`: anything else has been refused.
fn is_mapping(node: &Node, path: &str) -> bool {
    let found = path.split('.').try_fold(node, |node, step| node.child(step));
    found.is_some_and(|node| matches!(node.value, Value::Map(_)))
}
