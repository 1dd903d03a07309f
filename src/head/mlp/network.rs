//! The network while it is trained: candle variables, the loss of a batch and its gradient.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, Var};

use crate::logistic::log_sigmoid;
use crate::random::Random;

/// The three tensors that are trained, f64. The output's bias cancels in every difference and is set afterwards.
pub(super) struct Network {
    /// `(width, hidden)`, acting on standardised features.
    pub(super) input_weights: Var,
    /// `(hidden)`.
    pub(super) hidden_biases: Var,
    /// `(hidden, 1)`.
    pub(super) output_weights: Var,
}

/// Some comparisons as tensors, f64.
pub(super) struct Batch {
    /// Standardised features: all chosen items, then all rejected ones, `(2 · comparisons, width)`.
    pub(super) items: Tensor,
    /// Share of labelers who prefer the chosen item, `(comparisons)`.
    pub(super) preferences: Tensor,
    /// `(comparisons)`.
    pub(super) margins: Tensor,
    /// Each comparison's part of the batch's weight, `(comparisons)`, of sum 1.
    pub(super) shares: Tensor,
}

impl Network {
    /// Weights uniform in ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010), biases 0.
    pub(super) fn new(width: usize, hidden: usize, random: &mut Random) -> Result<Self> {
        let mut uniform = |rows: usize, columns: usize| {
            let bound = (6.0 / (rows + columns) as f64).sqrt();
            let values = (0..rows * columns).map(|_| bound * (2.0 * random.uniform() - 1.0)).collect();
            Var::from_vec::<_, f64>(values, (rows, columns), &Device::Cpu)
        };
        let (input_weights, output_weights) = (uniform(width, hidden)?, uniform(hidden, 1)?);
        let hidden_biases = Var::from_vec(vec![0f64; hidden], hidden, &Device::Cpu)?;
        Ok(Self { input_weights, hidden_biases, output_weights })
    }

    /// What is trained.
    pub(super) fn variables(&self) -> Vec<Var> {
        vec![self.input_weights.clone(), self.hidden_biases.clone(), self.output_weights.clone()]
    }

    /// −p log σ(z) − (1 − p) log σ(−z) with z = r(chosen) − r(rejected) − margin, `(comparisons)`.
    pub(super) fn losses(&self, batch: &Batch) -> Result<Tensor> {
        let hidden = batch.items.matmul(&self.input_weights)?.broadcast_add(&self.hidden_biases)?;
        let scores = hidden.apply_op1(TANH)?.matmul(&self.output_weights)?.squeeze(1)?;
        let pairs = batch.preferences.elem_count();
        let leads = ((scores.narrow(0, 0, pairs)? - scores.narrow(0, pairs, pairs)?)? - &batch.margins)?;
        let agreeing = (&batch.preferences * leads.apply_op1(LOG_SIGMOID)?)?;
        let opposing = (batch.preferences.affine(-1.0, 1.0)? * leads.neg()?.apply_op1(LOG_SIGMOID)?)?;
        (agreeing + opposing)?.neg()
    }
}

/// tanh by `libm`; (tanh)′ = 1 − tanh².
const TANH: Pointwise = Pointwise { name: "tanh", value: libm::tanh, slope: |tanh| 1.0 - tanh * tanh };

/// log σ by `libm`; (log σ)′ = 1 − σ = −expm1(log σ), exact at both ends.
const LOG_SIGMOID: Pointwise =
    Pointwise { name: "log_sigmoid", value: log_sigmoid, slope: |log_sigmoid| -libm::expm1(log_sigmoid) };

/// A smooth function applied to each number. candle's own tanh, exp and log are the platform's, so that a fit would
/// depend on the C library.
struct Pointwise {
    name: &'static str,
    value: fn(f64) -> f64,
    /// The derivative, as a function of the value.
    slope: fn(f64) -> f64,
}

impl CustomOp1 for Pointwise {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("{} needs its numbers side by side", self.name)
        };
        let values = storage.as_slice::<f64>()?[start..end].iter().map(|&number| (self.value)(number)).collect();
        Ok((CpuStorage::F64(values), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let slope = Self { name: self.name, value: self.slope, slope: |_| f64::NAN };
        Ok(Some((gradient * result.apply_op1_no_bwd(&slope)?)?))
    }
}
