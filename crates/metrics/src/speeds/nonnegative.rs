/// The `b` without negative parts that makes `b'Ab/2 - c'b` least, for a symmetric `A` without negative
/// eigenvalues, given by rows: least squares from its normal equations.
///
/// Lawson and Hanson's active set (Solving Least Squares Problems, 1974, chapter 23), begun with
/// the columns that are positive in `start`. Columns that the others make up are left at 0.
pub(super) fn nonnegative(gram: &[f64], right: &[f64], start: &[f64]) -> Vec<f64> {
    let columns = right.len();
    let mut used: Vec<bool> = start.iter().map(|value| *value > 0.0).collect();
    let mut best = if used.contains(&true) {
        settle(gram, right, &mut used, start)
    } else {
        vec![0.0; columns]
    };
    // Each round takes a column in; more rounds than this are only rounding errors at work.
    for _ in 0..3 * columns {
        let slope = |column: usize| {
            let row = &gram[column * columns..(column + 1) * columns];
            right[column] - row.iter().zip(&best).map(|(a, b)| a * b).sum::<f64>()
        };
        let scale = |column: usize| gram[column * columns + column].sqrt().max(f64::MIN_POSITIVE);
        let steepest = (0..columns)
            .filter(|&column| !used[column])
            .map(|column| (slope(column) / scale(column), column))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let size = best.iter().enumerate().map(|(column, value)| value * scale(column));
        let negligible = 1e-12 * size.fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let Some((gain, column)) = steepest.filter(|(gain, _)| *gain > negligible) else { break };
        debug_assert!(gain.is_finite(), "the sums of a fit are finite");
        used[column] = true;
        best = settle(gram, right, &mut used, &best);
    }
    best
}

/// Solves for the used columns; those that would be negative are taken out, one after the other, on
/// the way from `from`.
fn settle(gram: &[f64], right: &[f64], used: &mut [bool], from: &[f64]) -> Vec<f64> {
    let mut now: Vec<f64> = from
        .iter()
        .zip(&*used)
        .map(|(value, used)| if *used { value.max(0.0) } else { 0.0 })
        .collect();
    loop {
        let goal = solve(gram, right, used);
        let blocked = |column: &usize| used[*column] && goal[*column] < 0.0;
        let step = |column: usize| now[column] / (now[column] - goal[column]);
        let first = (0..now.len()).filter(blocked).min_by(|&a, &b| step(a).total_cmp(&step(b)));
        let Some(first) = first else { return goal };
        let step = step(first);
        for (now, goal) in now.iter_mut().zip(&goal) {
            *now = (*now + step * (goal - *now)).max(0.0);
        }
        now[first] = 0.0;
        used[first] = false;
    }
}

/// The unbounded solution in the used columns, by Cholesky; a column that is made up of those before it
/// is 0.
pub(super) fn solve(gram: &[f64], right: &[f64], used: &[bool]) -> Vec<f64> {
    const PIVOT_MIN: f64 = 1e-11;
    let columns = right.len();
    let mut factor = vec![0.0; columns * columns];
    let mut kept: Vec<usize> = Vec::with_capacity(columns);
    for row in (0..columns).filter(|&row| used[row]) {
        let mut pivot = gram[row * columns + row];
        for (at, &column) in kept.iter().enumerate() {
            let before = &kept[..at];
            let product = |&k: &usize| factor[row * columns + k] * factor[column * columns + k];
            let value = (gram[row * columns + column] - before.iter().map(product).sum::<f64>())
                / factor[column * columns + column];
            factor[row * columns + column] = value;
            pivot -= value * value;
        }
        if pivot > PIVOT_MIN * gram[row * columns + row] {
            factor[row * columns + row] = pivot.sqrt();
            kept.push(row);
        }
    }
    let mut solution = vec![0.0; columns];
    for (at, &row) in kept.iter().enumerate() {
        let done = kept[..at].iter().map(|&k| factor[row * columns + k] * solution[k]);
        solution[row] = (right[row] - done.sum::<f64>()) / factor[row * columns + row];
    }
    for (at, &row) in kept.iter().enumerate().rev() {
        let done = kept[at + 1..].iter().map(|&k| factor[k * columns + row] * solution[k]);
        solution[row] = (solution[row] - done.sum::<f64>()) / factor[row * columns + row];
    }
    solution
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::nonnegative;

    fn gram(rows: &[Vec<f64>], goals: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let columns = rows[0].len();
        let product = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
        let cells = (0..columns * columns).map(|cell| product(cell / columns, cell % columns));
        let right = (0..columns)
            .map(|column| rows.iter().zip(goals).map(|(row, goal)| row[column] * goal).sum());
        (cells.collect(), right.collect())
    }

    proptest! {
        /// The conditions of Karush, Kuhn and Tucker, which only the least value meets.
        #[test]
        fn no_column_could_do_better(
            rows in prop::collection::vec(prop::collection::vec(0.0..10.0_f64, 4), 6..30),
            goals in prop::collection::vec(-20.0..20.0_f64, 30),
            start in prop::collection::vec(0.0..2.0_f64, 4),
        ) {
            let (gram, right) = gram(&rows, &goals);
            let scale = right.iter().map(|value| value.abs()).fold(1.0, f64::max);
            for start in [vec![0.0; 4], start] {
                let found = nonnegative(&gram, &right, &start);
                for column in 0..4 {
                    let row = &gram[column * 4..][..4];
                    let slope = right[column] - row.iter().zip(&found).map(|(a, b)| a * b).sum::<f64>();
                    prop_assert!(found[column] >= 0.0);
                    prop_assert!(slope <= 1e-7 * scale, "{column}: {slope} of {found:?}");
                    prop_assert!(found[column] == 0.0 || slope.abs() <= 1e-7 * scale);
                }
            }
        }
    }

    #[test]
    fn a_column_made_up_of_others_is_left_out() {
        let rows: Vec<Vec<f64>> =
            (1..9_i32).map(|n| vec![1.0, f64::from(n), 2.0 * f64::from(n)]).collect();
        let goals: Vec<f64> = (1..9_i32).map(|n| 3.0 + 4.0 * f64::from(n)).collect();
        let (gram, right) = gram(&rows, &goals);
        let found = nonnegative(&gram, &right, &[0.0; 3]);
        assert!((found[0] - 3.0).abs() < 1e-6, "{found:?}");
        assert!((found[1] + 2.0 * found[2] - 4.0).abs() < 1e-6, "{found:?}");
    }
}
