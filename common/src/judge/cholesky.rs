//! Cholesky's factorisation of a small symmetric positive definite matrix.

/// A matrix that has no such factorisation: some direction has no variance, or a number is not finite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("pivot {index} of the matrix is {pivot}, where a positive number is expected")]
pub struct NotPositive {
    pub index: usize,
    pub pivot: f64,
}

/// L with A = L·Lᵀ, lower triangular.
#[derive(Clone, Debug)]
pub struct Cholesky {
    size: usize,
    /// `[size, size]`, row by row; above the diagonal there is what A had there.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factorises `matrix` `[size, size]`, of which only the lower triangle is read.
    ///
    /// # Errors
    /// The first pivot that is not a positive finite number.
    pub fn of(mut matrix: Vec<f64>, size: usize) -> Result<Self, NotPositive> {
        for row in 0..size {
            let (above, rest) = matrix.split_at_mut(row * size);
            let current = &mut rest[..=row];
            for column in 0..row {
                let earlier = &above[column * size..=column * size + column];
                let sum = dot(&current[..column], &earlier[..column]);
                current[column] = (current[column] - sum) / earlier[column];
            }
            let pivot = current[row] - dot(&current[..row], &current[..row]);
            if !(pivot.is_finite() && pivot > 0.0) {
                return Err(NotPositive { index: row, pivot });
            }
            current[row] = pivot.sqrt();
        }
        Ok(Self { size, lower: matrix })
    }

    /// L⁻¹·b in place of b `[size]`: its square is bᵀA⁻¹b.
    pub fn halve(&self, b: &mut [f64]) {
        for row in 0..self.size {
            let (known, rest) = b.split_at_mut(row);
            rest[0] = (rest[0] - dot(&self.row(row)[..row], known)) / self.row(row)[row];
        }
    }

    /// A⁻¹·b in place of b `[size]`.
    pub fn solve(&self, b: &mut [f64]) {
        self.halve(b);
        for row in (0..self.size).rev() {
            b[row] /= self.row(row)[row];
            let value = b[row];
            for (known, factor) in b[..row].iter_mut().zip(self.row(row)) {
                *known -= factor * value;
            }
        }
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.lower[row * self.size..(row + 1) * self.size]
    }
}

/// Σ aᵢ·bᵢ over as many as both have.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_solution_gives_back_the_right_hand_side(numbers in prop::collection::vec(-1.0f64..1.0, 42)) {
            let (rows, b) = numbers.split_at(36);
            let row = |i: usize| &rows[6 * i..6 * i + 6];
            let entry = |i: usize, j: usize| dot(row(i), row(j)) + if i == j { 0.1 } else { 0.0 };
            let matrix: Vec<f64> = (0..36).map(|at| entry(at / 6, at % 6)).collect();
            let mut x = b.to_vec();
            let cholesky = Cholesky::of(matrix.clone(), 6).unwrap();
            cholesky.solve(&mut x);
            let mut half = b.to_vec();
            cholesky.halve(&mut half);
            for (i, expected) in b.iter().enumerate() {
                prop_assert!((dot(&matrix[6 * i..6 * i + 6], &x) - expected).abs() < 1e-9);
            }
            prop_assert!((dot(&half, &half) - dot(b, &x)).abs() < 1e-9 * dot(b, &x).max(1.0));
        }
    }

    #[test]
    fn a_direction_without_variance_and_a_number_that_is_none_are_named() {
        let flat = Cholesky::of(vec![1.0, 1.0, 1.0, 1.0], 2).unwrap_err();
        assert_eq!(flat, NotPositive { index: 1, pivot: 0.0 });
        assert_eq!(Cholesky::of(vec![f64::NAN], 1).unwrap_err().index, 0);
        assert_eq!(Cholesky::of(vec![f64::INFINITY], 1).unwrap_err().index, 0);
    }
}
