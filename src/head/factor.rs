//! A symmetric positive definite matrix of which only vᵀM⁻¹v and M⁻¹v are asked: factored whole, or, when wide, as a
//! multiple of the identity and a few directions.

use super::linear_algebra::{Cholesky, add_scaled, dot};

/// A factored matrix M.
#[derive(Clone, Debug, PartialEq)]
pub enum Factor {
    /// M = LLᵀ.
    Dense(DenseFactor),
    /// M = floor·I + Σ valueⱼ uⱼuⱼᵀ with orthonormal uⱼ. What the directions leave out is taken as 0, so vᵀM⁻¹v is never
    /// too small when M is at least this.
    LowRank {
        /// The multiple of the identity, above 0.
        floor: f64,
        /// What the directions have more, each at least 0.
        values: Vec<f64>,
        /// Orthonormal, each `(width)`.
        directions: Vec<Vec<f64>>,
    },
}

/// A Cholesky factor.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseFactor(Cholesky);

impl Factor {
    /// Factors a row-major matrix; `None` when it is not positive definite.
    pub fn dense(matrix: &[f64], width: usize) -> Option<Self> {
        Cholesky::new(matrix, width).map(|factor| Self::Dense(DenseFactor(factor)))
    }

    /// From the packed lower triangle of L; `None` when it cannot be one.
    pub fn from_packed(width: usize, packed: &[f64]) -> Option<Self> {
        Cholesky::from_packed(width, packed).map(|factor| Self::Dense(DenseFactor(factor)))
    }

    /// Columns.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense(factor) => factor.0.size(),
            Self::LowRank { directions, .. } => directions.first().map_or(0, Vec::len),
        }
    }

    /// vᵀM⁻¹v, never below 0.
    pub fn inverse_form(&self, vector: &[f64]) -> f64 {
        match self {
            Self::Dense(factor) => {
                let solved = factor.0.solve_lower(vector);
                dot(&solved, &solved)
            }
            Self::LowRank { floor, values, directions } => {
                let mut rest = dot(vector, vector);
                let mut form = 0.0;
                for (value, direction) in values.iter().zip(directions) {
                    let share = dot(direction, vector);
                    form += share * share / (floor + value);
                    rest -= share * share;
                }
                form + rest.max(0.0) / floor
            }
        }
    }

    /// M⁻¹v.
    pub fn solve(&self, vector: &[f64]) -> Vec<f64> {
        match self {
            Self::Dense(factor) => factor.0.solve(vector),
            Self::LowRank { floor, values, directions } => {
                let mut solution: Vec<f64> = vector.iter().map(|value| value / floor).collect();
                for (value, direction) in values.iter().zip(directions) {
                    let share = dot(direction, vector);
                    add_scaled(&mut solution, share * (1.0 / (floor + value) - 1.0 / floor), direction);
                }
                solution
            }
        }
    }
}

impl DenseFactor {
    /// The lower triangle of L row by row without the zeros, `(width · (width + 1) / 2)`.
    pub fn packed(&self) -> Vec<f64> {
        self.0.packed()
    }

    /// L⁻¹v of every row v of a row-major matrix, in place.
    ///
    /// # Errors
    /// When candle's matrix product fails.
    pub(super) fn solve_lower_rows(&self, rows: &mut [f64]) -> candle_core::Result<()> {
        self.0.solve_lower_rows(rows)
    }
}
