use super::nonnegative::{nonnegative, solve};
use super::thresholds::{ARRIVED, ITERATIONS, NOISE_QUANTILE, SMOOTHING, SMOOTHING_MIN};

/// Times and what may have caused them: `times[i]` ≈ Σ `cells[i, j]` · coefficient `j`.
///
/// Cells and times are kept in units of the largest of their kind, so that one tolerance fits all.
pub(super) struct Problem {
    columns: usize,
    /// By rows.
    cells: Vec<f64>,
    times: Vec<f64>,
    /// The largest cell of each column, at least the smallest positive number.
    units: Vec<f64>,
    time_unit: f64,
}

/// Where a fit stands.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    /// In units of the problem.
    scaled: Vec<f64>,
    smoothing: f64,
    /// Sum of the losses, in units of the problem.
    pub(super) loss: f64,
}

impl Problem {
    /// Of rows of equal length, none of whose cells is negative.
    pub(super) fn new(rows: &[Vec<f64>], times: &[f64]) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let largest =
            |column: usize| rows.iter().map(|row| row[column]).fold(f64::MIN_POSITIVE, f64::max);
        let units: Vec<f64> = (0..columns).map(largest).collect();
        let time_unit = times.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        Self {
            columns,
            cells: rows
                .iter()
                .flat_map(|row| row.iter().zip(&units).map(|(cell, unit)| cell / unit))
                .collect(),
            times: times.iter().map(|time| time / time_unit).collect(),
            units,
            time_unit,
        }
    }

    /// The coefficients of a fit.
    pub(super) fn coefficients(&self, fit: &Fit) -> Vec<f64> {
        fit.scaled
            .iter()
            .zip(&self.units)
            .map(|(value, unit)| value * self.time_unit / unit)
            .collect()
    }

    /// Share of a column's variance that is its own: not a combination of the other columns and a constant,
    /// 0..1; 0 for a constant.
    pub(super) fn own_share(&self, column: usize) -> f64 {
        let count = self.times.len().max(1) as f64;
        let mean = |of: usize| self.rows().map(|row| row[of]).sum::<f64>() / count;
        let means: Vec<f64> = (0..self.columns).map(mean).collect();
        let mut gram = vec![0.0; self.columns * self.columns];
        for row in self.rows() {
            for a in 0..self.columns {
                for b in 0..self.columns {
                    gram[a * self.columns + b] += (row[a] - means[a]) * (row[b] - means[b]);
                }
            }
        }
        let total = gram[column * self.columns + column];
        // Rounding leaves a constant some variance.
        let used: Vec<bool> = (0..self.columns)
            .map(|other| other != column && gram[other * self.columns + other] > 1e-18 * count)
            .collect();
        if total <= 1e-18 * count {
            return 0.0;
        }
        let right: Vec<f64> =
            (0..self.columns).map(|other| gram[other * self.columns + column]).collect();
        let others = solve(&gram, &right, &used);
        let explained: f64 = others.iter().zip(&right).map(|(a, b)| a * b).sum();
        (1.0 - explained / total).clamp(0.0, 1.0)
    }

    /// Fits with every row counted once.
    pub(super) fn fit(&self) -> Fit {
        let weights = vec![1.0; self.times.len()];
        let least_squares = self.step(&weights, &vec![0.0; self.columns], None);
        let mut fit = Fit { scaled: least_squares, smoothing: 0.0, loss: 0.0 };
        for _ in 0..ITERATIONS {
            fit.smoothing = SMOOTHING_MIN.max(SMOOTHING * self.middle_residual(&fit.scaled));
            if self.improve(&weights, &mut fit) {
                break;
            }
        }
        fit.loss = (0..self.times.len()).map(|row| loss(self.residual(row, &fit.scaled))).sum();
        fit
    }

    /// Fits with rows counted `weights` times, beginning at `from`.
    pub(super) fn refit(&self, weights: &[f64], from: &Fit) -> Fit {
        let mut fit = from.clone();
        for _ in 0..ITERATIONS {
            if self.improve(weights, &mut fit) {
                break;
            }
        }
        fit
    }

    /// One step of the way; whether it was too small to matter.
    fn improve(&self, weights: &[f64], fit: &mut Fit) -> bool {
        let next = self.step(weights, &fit.scaled, Some(fit.smoothing));
        let moved = next.iter().zip(&fit.scaled).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        fit.scaled = next;
        moved < ARRIVED * fit.smoothing
    }

    /// The coefficients that make the loss's quadratic bound at `at` least (Hunter and Lange, Quantile
    /// regression via an MM algorithm, 2000); without smoothing those of least squares.
    fn step(&self, weights: &[f64], at: &[f64], smoothing: Option<f64>) -> Vec<f64> {
        let columns = self.columns;
        let mut gram = vec![0.0; columns * columns];
        let mut right = vec![0.0; columns];
        for (index, row) in self.rows().enumerate().filter(|(index, _)| weights[*index] > 0.0) {
            let pull = weights[index]
                * smoothing.map_or(1.0, |it| 1.0 / (it + self.residual(index, at).abs()));
            let tilt = if smoothing.is_some() {
                weights[index] * (2.0 * NOISE_QUANTILE - 1.0)
            } else {
                0.0
            };
            let goal = pull * self.times[index] + tilt;
            for (a, cell) in row.iter().enumerate() {
                right[a] += cell * goal;
                let pulled = cell * pull;
                for (sum, other) in gram[a * columns..=a * columns + a].iter_mut().zip(row) {
                    *sum += pulled * other;
                }
            }
        }
        for a in 0..columns {
            for b in 0..a {
                gram[b * columns + a] = gram[a * columns + b];
            }
        }
        nonnegative(&gram, &right, at)
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.cells.chunks_exact(self.columns.max(1))
    }

    fn residual(&self, row: usize, scaled: &[f64]) -> f64 {
        let cells = &self.cells[row * self.columns..(row + 1) * self.columns];
        self.times[row] - cells.iter().zip(scaled).map(|(cell, value)| cell * value).sum::<f64>()
    }

    fn middle_residual(&self, scaled: &[f64]) -> f64 {
        let mut sizes: Vec<f64> =
            (0..self.times.len()).map(|row| self.residual(row, scaled).abs()).collect();
        let middle = sizes.len() / 2;
        if sizes.is_empty() { 0.0 } else { *sizes.select_nth_unstable_by(middle, f64::total_cmp).1 }
    }
}

/// Of a residual: what lies above the fit weighs less than what lies below (Koenker and Bassett, 1978).
fn loss(residual: f64) -> f64 {
    residual * if residual >= 0.0 { NOISE_QUANTILE } else { NOISE_QUANTILE - 1.0 }
}
