//! The leading eigenvectors of a matrix that is too wide to make: orthogonal iteration (Golub & Van Loan, Matrix
//! Computations, section 8.2.4) from a seeded start, with Jacobi's rotations for the small matrix (section 8.5).

use super::factor::Factor;
use super::linear_algebra::{add_scaled, dot, norm};
use super::problem::outer_product;
use crate::error::{Error, Fault, Result};
use crate::random::Random;

/// Multiplications of the block; each also separates eigenvalues by their ratio.
const ITERATIONS: usize = 6;

/// floor·I + A, of which A, positive semidefinite, is known only by its product with a block of vectors (row-major
/// `(count, width)`), as a factor with the `rank` leading eigenvectors of A.
///
/// # Errors
/// What `times` reports, and [`Error::Numeric`] when the numbers are not finite.
pub(super) fn leading(
    width: usize,
    rank: usize,
    floor: f64,
    times: &dyn Fn(&[f64]) -> Result<Vec<f64>>,
) -> Result<Factor> {
    let rank = rank.min(width);
    let mut random = Random::new(0);
    let mut block: Vec<f64> = (0..rank * width).map(|_| random.normal()).collect();
    orthonormalise(&mut block, width);
    for _ in 0..ITERATIONS {
        block = times(&block)?;
        orthonormalise(&mut block, width);
    }
    let image = times(&block)?;
    let unmade = |error| Error::Numeric(vec![Fault::new("head", format!("the posterior cannot be computed: {error}"))]);
    let small = outer_product(&block, &image, width).map_err(unmade)?;
    let (values, rotation) = eigen(small, rank);
    if !values.iter().all(|value| value.is_finite()) || floor <= 0.0 || !floor.is_finite() {
        return Err(unmade(candle_core::Error::Msg("it is not positive definite".to_owned())));
    }
    let directions = (0..rank)
        .map(|column| {
            let mut direction = vec![0f64; width];
            for (row, vector) in block.chunks_exact(width).enumerate() {
                add_scaled(&mut direction, rotation[row * rank + column], vector);
            }
            direction
        })
        .collect();
    Ok(Factor::LowRank { floor, values: values.into_iter().map(|value| value.max(0.0)).collect(), directions })
}

/// Makes the rows orthonormal by Gram-Schmidt, twice; a row that depends on those before it becomes zero.
fn orthonormalise(rows: &mut [f64], width: usize) {
    for index in 0..rows.len() / width {
        let (before, rest) = rows.split_at_mut(index * width);
        let row = &mut rest[..width];
        let length = norm(row);
        for _ in 0..2 {
            for known in before.chunks_exact(width) {
                let share = dot(known, row);
                add_scaled(row, -share, known);
            }
        }
        let left = norm(row);
        let scale = if left > 1e-12 * length && left > 0.0 { 1.0 / left } else { 0.0 };
        row.iter_mut().for_each(|value| *value *= scale);
    }
}

/// Eigenvalues and, as columns, eigenvectors of a small symmetric matrix, by cyclic Jacobi rotations.
fn eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors: Vec<f64> =
        (0..size * size).map(|index| f64::from(u8::from(index / size == index % size))).collect();
    for _ in 0..30 {
        let outside = |matrix: &[f64]| -> f64 {
            let squares = |index: usize| if index / size == index % size { 0.0 } else { matrix[index].powi(2) };
            (0..size * size).map(squares).sum()
        };
        if outside(&matrix) <= 1e-24 * dot(&matrix, &matrix) {
            break;
        }
        for row in 0..size {
            for column in row + 1..size {
                rotate(&mut matrix, &mut vectors, size, (row, column));
            }
        }
    }
    ((0..size).map(|index| matrix[index * size + index]).collect(), vectors)
}

/// One rotation, which makes the element at (row, column) zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, (row, column): (usize, usize)) {
    let element = matrix[row * size + column];
    if element == 0.0 {
        return;
    }
    let ratio = (matrix[column * size + column] - matrix[row * size + row]) / (2.0 * element);
    let tangent = ratio.signum() / (ratio.abs() + (ratio * ratio + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let turn = |values: &mut [f64], left: usize, right: usize| {
        let (a, b) = (values[left], values[right]);
        values[left] = cosine * a - sine * b;
        values[right] = sine * a + cosine * b;
    };
    for index in 0..size {
        turn(matrix, index * size + row, index * size + column);
    }
    for index in 0..size {
        turn(matrix, row * size + index, column * size + index);
    }
    for index in 0..size {
        turn(vectors, index * size + row, index * size + column);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AᵀA of a random matrix whose columns fade, row-major.
    fn fading(width: usize) -> Vec<f64> {
        let mut random = Random::new(3);
        let rows: Vec<Vec<f64>> = (0..2 * width)
            .map(|_| (0..width).map(|column| random.normal() * 0.8f64.powi(column as i32)).collect())
            .collect();
        let entry = |left: usize, right: usize| rows.iter().map(|row| row[left] * row[right]).sum::<f64>();
        (0..width * width).map(|index| entry(index / width, index % width)).collect()
    }

    fn times(matrix: &[f64], width: usize, block: &[f64]) -> Vec<f64> {
        block.chunks_exact(width).flat_map(|vector| matrix.chunks_exact(width).map(|row| dot(row, vector))).collect()
    }

    #[test]
    fn all_directions_give_the_whole_matrix() {
        let width = 12;
        let matrix = fading(width);
        let low = leading(width, width, 0.5, &|block| Ok(times(&matrix, width, block))).expect("finite");
        let mut whole = matrix.clone();
        (0..width).for_each(|index| whole[index * width + index] += 0.5);
        let dense = Factor::dense(&whole, width).expect("positive definite");
        let mut random = Random::new(9);
        for _ in 0..20 {
            let vector: Vec<f64> = (0..width).map(|_| random.normal()).collect();
            let (a, b) = (low.inverse_form(&vector), dense.inverse_form(&vector));
            assert!((a - b).abs() < 1e-8 * b, "{a} against {b}");
            for (a, b) in low.solve(&vector).iter().zip(dense.solve(&vector)) {
                assert!((a - b).abs() < 1e-8, "{a} against {b}");
            }
        }
    }

    #[test]
    fn fewer_directions_never_claim_more_certainty_than_the_whole_matrix() {
        let width = 40;
        let matrix = fading(width);
        let mut whole = matrix.clone();
        (0..width).for_each(|index| whole[index * width + index] += 0.3);
        let dense = Factor::dense(&whole, width).expect("positive definite");
        let low = leading(width, 15, 0.3, &|block| Ok(times(&matrix, width, block))).expect("finite");
        let mut random = Random::new(4);
        for _ in 0..50 {
            let vector: Vec<f64> = (0..width).map(|_| random.normal()).collect();
            let (a, b) = (low.inverse_form(&vector), dense.inverse_form(&vector));
            assert!(a > b && a < 1.5 * b, "{a} against {b}");
        }
    }
}
