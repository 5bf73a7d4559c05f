/// Bytes in GiB, with about three significant digits.
pub(super) fn gib(bytes: f64) -> String {
    let gib = bytes / f64::from(1 << 30);
    match gib {
        gib if gib >= 100.0 => format!("{gib:.0}"),
        gib if gib >= 10.0 => format!("{gib:.1}"),
        gib if gib >= 0.1 => format!("{gib:.2}"),
        gib => format!("{gib:.4}"),
    }
}
