//! Every recorded stream of numpy and CPython is repeated to the last bit.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use serde_json::Value;
use turnbench_random::{NumpyStream, PythonStream};

fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/rng/rng.json.zst");
    let file = std::fs::File::open(path).unwrap();
    serde_json::from_reader(zstd::Decoder::new(file).unwrap()).unwrap()
}

fn integer(value: &Value) -> i128 {
    value.as_str().map_or_else(|| value.as_i64().unwrap().into(), |text| text.parse().unwrap())
}

fn field(op: &Value, name: &str) -> i128 {
    integer(&op[name])
}

fn float(op: &Value, name: &str) -> f64 {
    op[name].as_f64().unwrap()
}

/// What an operation drew: integers, or the bits of doubles.
#[derive(Debug, PartialEq)]
enum Draws {
    Integers(Vec<i128>),
    Bits(Vec<u64>),
}

fn expected(op: &Value) -> Draws {
    let out = &op["out"];
    if let Some(bits) = out["bits"].as_array() {
        let parse = |text: &Value| u64::from_str_radix(text.as_str().unwrap(), 16).unwrap();
        return Draws::Bits(bits.iter().map(parse).collect());
    }
    Draws::Integers(out["int"].as_array().unwrap().iter().map(integer).collect())
}

fn integers(op: &Value, mut draw: impl FnMut() -> i128) -> Draws {
    Draws::Integers((0..field(op, "n")).map(|_| draw()).collect())
}

fn floats(op: &Value, mut draw: impl FnMut() -> f64) -> Draws {
    Draws::Bits((0..field(op, "n")).map(|_| draw().to_bits()).collect())
}

fn numpy_draws(stream: &mut NumpyStream, op: &Value) -> Draws {
    match op["op"].as_str().unwrap() {
        "next_u32" => integers(op, || stream.next_u32().into()),
        "random_sample" => floats(op, || stream.random_sample()),
        "uniform" => floats(op, || stream.uniform(float(op, "low"), float(op, "high"))),
        "randint" => {
            let (low, last) = (field(op, "low") as i64, (field(op, "high") - 1) as i64);
            integers(op, || stream.randint(low, last).unwrap().into())
        }
        "standard_normal" => floats(op, || stream.standard_normal()),
        "lognormal" => floats(op, || stream.lognormal(float(op, "mean"), float(op, "sigma"))),
        "zipf" => integers(op, || stream.zipf(float(op, "a")).unwrap().into()),
        "poisson" => integers(op, || stream.poisson(float(op, "lam")).unwrap().into()),
        "exponential" => floats(op, || stream.exponential(float(op, "scale"))),
        other => panic!("unknown operation {other}"),
    }
}

fn python_draws(stream: &mut PythonStream, op: &Value) -> Draws {
    let indices = || (0..field(op, "len") as usize).collect::<Vec<_>>();
    let from_usize = |index: usize| index as i128;
    match op["op"].as_str().unwrap() {
        "random" => floats(op, || stream.random()),
        "uniform" => floats(op, || stream.uniform(float(op, "a"), float(op, "b"))),
        "getrandbits" => {
            let bits = field(op, "k") as u32;
            integers(op, || stream.getrandbits(bits) as i128)
        }
        "choice" => integers(op, || from_usize(*stream.choice(&indices()).unwrap())),
        "shuffle" => {
            let mut items = indices();
            stream.shuffle(&mut items);
            Draws::Integers(items.into_iter().map(from_usize).collect())
        }
        "sample" => {
            let (population, count) = (field(op, "len") as usize, field(op, "k") as usize);
            let drawn = stream.sample(population, count).unwrap();
            Draws::Integers(drawn.into_iter().map(from_usize).collect())
        }
        other => panic!("unknown operation {other}"),
    }
}

#[test]
fn numpy_streams_equal_the_recorded_ones() {
    let recorded = recorded();
    let streams = recorded["numpy"].as_array().unwrap();
    assert_eq!(streams.len(), 202);
    for case in streams {
        let mut stream = NumpyStream::new(u32::try_from(integer(&case["seed"])).unwrap());
        for _ in 0..case["skip_random_sample"].as_u64().unwrap_or(0) {
            stream.random_sample();
        }
        for op in case["ops"].as_array().unwrap() {
            let name = &case["name"];
            assert_eq!(numpy_draws(&mut stream, op), expected(op), "{name} {}", case["seed"]);
        }
    }
}

#[test]
fn python_streams_equal_the_recorded_ones() {
    let recorded = recorded();
    let streams = recorded["python"].as_array().unwrap();
    assert_eq!(streams.len(), 360);
    for case in streams {
        let mut stream = PythonStream::new(integer(&case["seed"]));
        for op in case["ops"].as_array().unwrap() {
            let name = &case["name"];
            assert_eq!(python_draws(&mut stream, op), expected(op), "{name} {}", case["seed"]);
        }
    }
}
