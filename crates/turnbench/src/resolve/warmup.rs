use crate::exit::Exit;

/// `--warmup-percentages`: fractions in [0, 1), ascending.
pub(crate) fn warmup_fractions(text: &str) -> Result<Vec<f64>, Exit> {
    let mut fractions = Vec::new();
    for part in text.split(',') {
        let number = part.replace('%', "");
        match number.trim().parse::<f64>() {
            Ok(percent) if (0.0..100.0).contains(&percent) => fractions.push(percent / 100.0),
            _ => {
                return Err(Exit::usage(format!(
                    "--warmup-percentages has '{part}'; it is a comma-separated list of \
                     percentages from 0% to less than 100%"
                )));
            }
        }
    }
    fractions.sort_by(f64::total_cmp);
    Ok(fractions)
}

#[cfg(test)]
mod tests {
    use super::warmup_fractions;

    #[test]
    fn percentages_are_sorted_fractions() {
        assert_eq!(warmup_fractions("50%,0%, 25").unwrap(), [0.0, 0.25, 0.5]);
        for bad in ["100%", "abc", "", "-1%", "nan"] {
            assert!(warmup_fractions(bad).is_err(), "{bad}");
        }
    }
}
