//! How a number for the whole run is divided among its clients.

/// The share of client `index` (from 0) of `total`, where the first clients take one more each
/// until the remainder is gone. The shares add up to `total`.
pub(crate) fn spread(total: u64, clients: u32, index: u32) -> u64 {
    let clients = u64::from(clients);
    total / clients + u64::from(u64::from(index) < total % clients)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn the_first_clients_take_the_remainder() {
        let shares = |total, clients| (0..clients).map(|i| spread(total, clients, i)).collect();
        let check = |total, clients, expect: &[u64]| {
            let shares: Vec<_> = shares(total, clients);
            assert_eq!(shares, expect, "{total} over {clients}");
        };
        check(5, 2, &[3, 2]);
        check(6, 3, &[2, 2, 2]);
        check(2, 4, &[1, 1, 0, 0]);
        check(0, 2, &[0, 0]);
    }
}
