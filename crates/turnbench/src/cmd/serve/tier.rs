use turnbench_model::Nanos;
use turnbench_simserver::engine::{TierKind, TierOptions};

use crate::args::unit;
use crate::exit::Exit;

/// Shown with everything that is wrong with a tier.
const EXAMPLE: &str = "hint: such as --tier host:8GiB,load=20GiB/s,store=20GiB/s,latency=50us";

/// The tier that `--tier` describes.
pub(super) fn parse(text: &str) -> Result<TierOptions, Exit> {
    read(text).map_err(|what| Exit::usage(format!("--tier is '{text}'; {what}\n{EXAMPLE}")))
}

/// The kind of tier with this name.
pub(super) fn kind(name: &str) -> Result<TierKind, String> {
    TierKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| format!("'{name}' is no tier: it must be host, disk or p2p"))
}

fn read(text: &str) -> Result<TierOptions, String> {
    let mut parts = text.split(',');
    let head = parts.next().unwrap_or_default();
    let (name, size) = head
        .split_once(':')
        .ok_or("it must be NAME:SIZE,load=SPEED,store=SPEED and perhaps latency=TIME")?;
    let kind = kind(name)?;
    let capacity = unit::bytes(size).ok_or_else(|| {
        format!("its size '{size}' must be a number with a unit, such as 8GiB or 500MB")
    })?;
    let (mut load, mut store, mut latency) = (None, None, None);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let place = match key {
            "load" => &mut load,
            "store" => &mut store,
            "latency" => &mut latency,
            _ => return Err(format!("'{key}' is no setting: it must be load, store or latency")),
        };
        let read = if key == "latency" { time(value) } else { speed(key, value) };
        if place.replace(read?).is_some() {
            return Err(format!("'{key}' is there twice"));
        }
    }
    let wanted = |key: &str| format!("{key}=SPEED is missing");
    Ok(TierOptions {
        load_bytes_per_sec: load.ok_or_else(|| wanted("load"))?,
        store_bytes_per_sec: store.ok_or_else(|| wanted("store"))?,
        latency: Nanos(latency.unwrap_or(0.0) as u64),
        // Beyond 2^63 bytes it is too large anyway, and says so.
        ..TierOptions::new(kind, capacity as u64, 1.0)
    })
}

/// Bytes per second.
fn speed(key: &str, text: &str) -> Result<f64, String> {
    text.strip_suffix("/s")
        .and_then(unit::bytes)
        .filter(|speed| (1.0..=1e15).contains(speed))
        .ok_or_else(|| {
            format!("its {key} speed '{text}' must be from 1B/s to 1000TB/s, such as 20GiB/s")
        })
}

/// Nanoseconds.
fn time(text: &str) -> Result<f64, String> {
    unit::nanos(text)
        .filter(|nanos| *nanos <= 60e9)
        .map(f64::round)
        .ok_or_else(|| format!("its latency '{text}' must be from 0s to 60s, such as 50us or 2ms"))
}

#[cfg(test)]
mod tests {
    use turnbench_model::Nanos;
    use turnbench_simserver::engine::{TierKind, TierOptions};

    use super::parse;

    #[test]
    fn sizes_speeds_and_times_have_units() {
        let tier = |text| parse(text).unwrap();
        assert_eq!(
            tier("host:8GiB,load=20GiB/s,store=1.5GB/s,latency=50us"),
            TierOptions {
                kind: TierKind::Host,
                capacity_bytes: 8 << 30,
                load_bytes_per_sec: 20.0 * 1_073_741_824.0,
                store_bytes_per_sec: 1.5e9,
                latency: Nanos(50_000),
                keeps_nothing: false,
            }
        );
        let disk = tier("disk:500MB,store=64KiB/s,load=3B/s");
        assert_eq!((disk.capacity_bytes, disk.latency), (500_000_000, Nanos::ZERO));
        assert_eq!((disk.load_bytes_per_sec, disk.store_bytes_per_sec), (3.0, 65_536.0));
    }

    #[test]
    fn what_is_wrong_is_named_with_an_example() {
        let check = |text: &str, expect: &str| {
            let error = parse(text).unwrap_err().error.to_string();
            let example = "hint: such as --tier host:8GiB,load=20GiB/s,store=20GiB/s,latency=50us";
            assert_eq!(error, format!("--tier is '{text}'; {expect}\n{example}"));
        };
        let form = "it must be NAME:SIZE,load=SPEED,store=SPEED and perhaps latency=TIME";
        check("", form);
        check("host", form);
        check("ram:1GiB", "'ram' is no tier: it must be host, disk or p2p");
        let size =
            |size| format!("its size '{size}' must be a number with a unit, such as 8GiB or 500MB");
        for text in ["0", "8", "GiB", "8g", "-1GiB", "1e3GiB", "infB", "8GiB/s"] {
            check(&format!("host:{text},load=1GB/s"), &size(text));
        }
        check("host:1GiB,speed=1GB/s", "'speed' is no setting: it must be load, store or latency");
        check("host:1GiB,", "'' is no setting: it must be load, store or latency");
        check("host:1GiB,load=1GB/s", "store=SPEED is missing");
        check("host:1GiB,store=1GB/s", "load=SPEED is missing");
        check("host:1GiB,load=1GB/s,load=1GB/s", "'load' is there twice");
        for text in ["1GB", "0GB/s", "0.5B/s", "1001TB/s", ""] {
            let expect =
                format!("its load speed '{text}' must be from 1B/s to 1000TB/s, such as 20GiB/s");
            check(&format!("host:1GiB,load={text}"), &expect);
        }
        check(
            "host:1GiB,latency=61s",
            "its latency '61s' must be from 0s to 60s, such as 50us or 2ms",
        );
    }
}
