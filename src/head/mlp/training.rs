//! Gradient steps over mini-batches, with a look at every number that comes out.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};

use super::MlpHead;
use super::network::{Batch, Network};
use crate::config::MlpConfig;
use crate::error::{Error, Fault, Result};
use crate::features::Features;
use crate::head::{Comparison, Standardiser};
use crate::random::Random;

/// A training loss this many times the one at the start has left the region where steps help.
const BLOWN_UP: f64 = 10.0;

/// Comparisons that a message names.
const NAMED: usize = 5;

/// What a batch says of the network.
struct Observed {
    /// Of each comparison.
    losses: Vec<f64>,
    /// Their weighted mean.
    loss: f64,
    gradients: GradStore,
    /// Euclidean norm of the gradient in all variables.
    norm: f64,
}

/// A network on its way.
pub(super) struct Training<'a> {
    features: &'a Features,
    scale: &'a Standardiser,
    network: Network,
    optimizer: AdamW,
    learning_rate: f64,
    /// The loss of the first batch before any step, at least that of a head that always says 0.
    start: Option<f64>,
}

impl<'a> Training<'a> {
    /// A network with random weights.
    pub(super) fn new(
        features: &'a Features,
        scale: &'a Standardiser,
        settings: &MlpConfig,
        random: &mut Random,
    ) -> Result<Self> {
        let MlpConfig { hidden, learning_rate, weight_decay, .. } = *settings;
        let network = Network::new(features.width(), hidden, random).map_err(|error| failed(&error))?;
        let parameters = ParamsAdamW { lr: learning_rate, weight_decay, ..ParamsAdamW::default() };
        let optimizer = AdamW::new(network.variables(), parameters).map_err(|error| failed(&error))?;
        Ok(Self { features, scale, network, optimizer, learning_rate, start: None })
    }

    /// One step for each batch of `order`.
    ///
    /// # Errors
    /// [`Error::Numeric`] at the first loss or gradient that is no number, naming the batch, and for a training loss
    /// far above that of the start.
    pub(super) fn run_epoch(&mut self, epoch: usize, order: &[Comparison], batch_size: usize) -> Result<()> {
        let (mut total, mut steps) = (0.0, 0);
        for (index, comparisons) in order.chunks(batch_size).enumerate() {
            let place = format!("head: epoch {epoch}, step {}", index + 1);
            total += self.step(&place, comparisons)?;
            steps += 1;
        }
        let (mean, start) = (total / f64::from(steps), self.start.unwrap_or(f64::INFINITY));
        if mean <= BLOWN_UP * start {
            return Ok(());
        }
        let found = format!("the training loss rose to {mean:.3} in epoch {epoch}, {start:.3} at the start");
        Err(Error::Numeric(vec![Fault::new("head", found).help(self.smaller_steps())]))
    }

    /// One step down the gradient of the batch's loss; gives the loss before it.
    fn step(&mut self, place: &str, comparisons: &[Comparison]) -> Result<f64> {
        let Observed { losses, loss, gradients, norm } = self.observe(comparisons).map_err(|error| failed(&error))?;
        if !loss.is_finite() {
            let odd = comparisons.iter().zip(&losses).filter(|(_, loss)| !loss.is_finite());
            let odd: Vec<Comparison> = odd.map(|(comparison, _)| *comparison).collect();
            let named = if odd.is_empty() { comparisons } else { &odd };
            return Err(self.no_number(place, &format!("the loss is {loss}"), named));
        }
        if !norm.is_finite() {
            return Err(self.no_number(place, &format!("the gradient's norm is {norm}"), comparisons));
        }
        self.optimizer.step(&gradients).map_err(|error| failed(&error))?;
        self.start = self.start.or(Some(loss.max(std::f64::consts::LN_2)));
        Ok(loss)
    }

    fn observe(&self, comparisons: &[Comparison]) -> candle_core::Result<Observed> {
        let batch = self.batch(comparisons)?;
        let losses = self.network.losses(&batch)?;
        let loss = (&losses * &batch.shares)?.sum_all()?;
        let gradients = loss.backward()?;
        let mut squares = 0.0;
        for variable in self.network.variables() {
            if let Some(gradient) = gradients.get(&variable) {
                squares += gradient.sqr()?.sum_all()?.to_scalar::<f64>()?;
            }
        }
        Ok(Observed { losses: losses.to_vec1()?, loss: loss.to_scalar()?, gradients, norm: squares.sqrt() })
    }

    fn batch(&self, comparisons: &[Comparison]) -> candle_core::Result<Batch> {
        let width = self.features.width();
        let mut items = Vec::with_capacity(2 * comparisons.len() * width);
        let chosen = comparisons.iter().map(|comparison| comparison.chosen);
        for row in chosen.chain(comparisons.iter().map(|comparison| comparison.rejected)) {
            items.extend(self.scale.position(self.features.row(row)));
        }
        let total: f64 = comparisons.iter().map(|comparison| comparison.weight).sum();
        let column = |value: fn(&Comparison) -> f64, divisor: f64| {
            let values: Vec<f64> = comparisons.iter().map(|comparison| value(comparison) / divisor).collect();
            Tensor::from_vec(values, comparisons.len(), &Device::Cpu)
        };
        Ok(Batch {
            items: Tensor::from_vec(items, (2 * comparisons.len(), width), &Device::Cpu)?,
            preferences: column(|comparison| comparison.preference, 1.0)?,
            margins: column(|comparison| comparison.margin, 1.0)?,
            shares: column(|comparison| comparison.weight, total)?,
        })
    }

    /// The network as it stands, acting on the features as they are: W₁ / deviation and b₁ − mean · W₁ / deviation.
    pub(super) fn head(&self) -> Result<MlpHead> {
        let Network { input_weights, hidden_biases, output_weights } = &self.network;
        let numbers = |variable: &Var| -> Result<Vec<f64>> {
            variable.flatten_all().and_then(|flat| flat.to_vec1()).map_err(|error| failed(&error))
        };
        let (mut input_weights, mut hidden_biases) = (numbers(input_weights)?, numbers(hidden_biases)?);
        let output_weights = numbers(output_weights)?;
        let rows = input_weights.chunks_exact_mut(hidden_biases.len().max(1));
        for (weights, (mean, deviation)) in rows.zip(self.scale.means.iter().zip(&self.scale.deviations)) {
            for (weight, bias) in weights.iter_mut().zip(&mut hidden_biases) {
                *weight = if *deviation == 0.0 { 0.0 } else { *weight / deviation };
                *bias -= mean * *weight;
            }
        }
        Ok(MlpHead { input_weights, hidden_biases, output_weights, output_bias: 0.0 })
    }

    /// What to do when the numbers run away.
    pub(super) fn smaller_steps(&self) -> String {
        format!("the steps are too large: set a learning_rate below {}", self.learning_rate)
    }

    fn no_number(&self, place: &str, found: &str, comparisons: &[Comparison]) -> Error {
        let named: Vec<String> =
            comparisons.iter().take(NAMED).map(|pair| format!("{} over {}", pair.chosen, pair.rejected)).collect();
        let others = comparisons.len() - named.len();
        let others = if others == 0 { String::new() } else { format!(" and {others} more") };
        let found = format!("{found} in the comparisons of feature rows {}{others}", named.join(", "));
        let help = format!("features, margins and weights must be finite; if they are, {}", self.smaller_steps());
        Error::Numeric(vec![Fault::new(place, found).help(help)])
    }
}

fn failed(error: &candle_core::Error) -> Error {
    Error::Numeric(vec![Fault::new("head", format!("the network cannot be computed: {error}"))])
}
