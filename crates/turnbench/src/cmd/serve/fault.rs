use turnbench_simserver::ServerOptions;

use super::tier;
use crate::exit::Exit;

const STORES_NOTHING: &str = "stores-nothing";
const WRONG_COUNTERS: &str = "wrong-counters";

/// Gives the server the fault that `--fault` names.
pub(super) fn apply(text: &str, options: &mut ServerOptions) -> Result<(), Exit> {
    give(text, options).map_err(|what| Exit::usage(format!("--fault is '{text}'; {what}")))
}

fn give(text: &str, options: &mut ServerOptions) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    match (name, value) {
        (STORES_NOTHING, value) => {
            let kind = value.map(tier::kind).transpose()?;
            let tiers = &mut options.engine.tiers;
            let mut faulty = tiers.iter_mut().filter(|tier| kind.is_none_or(|it| tier.kind == it));
            let Some(first) = faulty.next() else {
                return Err("there is no such tier\nhint: --tier gives the server one".to_owned());
            };
            first.keeps_nothing = true;
            faulty.for_each(|tier| tier.keeps_nothing = true);
            Ok(())
        }
        (WRONG_COUNTERS, Some(value)) => {
            let factor = value.parse().ok().filter(|factor| (0.0..=1000.0).contains(factor));
            options.cached_factor = factor.ok_or_else(|| {
                format!(
                    "'{value}' must be a number from 0 to 1000\nhint: such as {WRONG_COUNTERS}=0.5"
                )
            })?;
            Ok(())
        }
        _ => Err(format!(
            "it must be {STORES_NOTHING}, {STORES_NOTHING}=TIER or {WRONG_COUNTERS}=FACTOR\n\
             hint: such as --fault {WRONG_COUNTERS}=0.5"
        )),
    }
}

#[cfg(test)]
mod tests {
    use turnbench_simserver::ServerOptions;
    use turnbench_simserver::engine::{TierKind, TierOptions};

    use super::apply;

    /// A server with host and disk and this fault: which tiers keep nothing, and the factor.
    fn faulty(text: &str) -> Result<(Vec<bool>, f64), String> {
        let mut options = ServerOptions::default();
        let kinds = [TierKind::Host, TierKind::Disk];
        options.engine.tiers = kinds.map(|kind| TierOptions::new(kind, 1 << 30, 1e9)).into();
        apply(text, &mut options).map_err(|exit| exit.error.to_string())?;
        let keeps_nothing = options.engine.tiers.iter().map(|tier| tier.keeps_nothing).collect();
        Ok((keeps_nothing, options.cached_factor))
    }

    #[test]
    fn a_fault_hits_all_tiers_or_one_or_what_is_reported() {
        assert_eq!(faulty("stores-nothing"), Ok((vec![true, true], 1.0)));
        assert_eq!(faulty("stores-nothing=disk"), Ok((vec![false, true], 1.0)));
        assert_eq!(faulty("wrong-counters=1.5"), Ok((vec![false, false], 1.5)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |text: &str, expect: &str| {
            let error = faulty(text).unwrap_err();
            assert!(error.starts_with(&format!("--fault is '{text}'; {expect}")), "{error}");
        };
        check(
            "slow",
            "it must be stores-nothing, stores-nothing=TIER or wrong-counters=FACTOR\nhint: ",
        );
        check("wrong-counters", "it must be stores-nothing");
        check("wrong-counters=much", "'much' must be a number from 0 to 1000\nhint: ");
        check("wrong-counters=NaN", "'NaN' must be a number from 0 to 1000\nhint: ");
        check("stores-nothing=ram", "'ram' is no tier: it must be host, disk or p2p");
        check("stores-nothing=p2p", "there is no such tier\nhint: --tier gives the server one");
    }
}
