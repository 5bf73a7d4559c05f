/// The sum of `values` in numpy's order of additions, which keeps the rounding error small and
/// must be repeated for numpy's exact mean. An empty slice sums to 0.
pub fn pairwise_sum(values: &[f64]) -> f64 {
    let count = values.len();
    if count < 8 {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if count <= 128 {
        return eight_lanes(values);
    }
    let half = count / 2;
    let (left, right) = values.split_at(half - half % 8);
    pairwise_sum(left) + pairwise_sum(right)
}

fn eight_lanes(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (first, rest) = values.split_at(8);
    lanes.copy_from_slice(first);
    let blocks = rest.chunks_exact(8);
    let tail = blocks.remainder();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += value;
        }
    }
    let [r0, r1, r2, r3, r4, r5, r6, r7] = lanes;
    let sum = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7));
    tail.iter().fold(sum, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::pairwise_sum;

    proptest! {
        #[test]
        fn whole_numbers_sum_exactly(values in proptest::collection::vec(0u32..1_000_000, 0..600)) {
            let exact: u64 = values.iter().map(|&value| u64::from(value)).sum();
            let floats: Vec<f64> = values.iter().map(|&value| f64::from(value)).collect();
            prop_assert_eq!(pairwise_sum(&floats), exact as f64);
        }
    }
}
