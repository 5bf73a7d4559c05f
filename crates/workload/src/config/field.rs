use serde_json::Value;

use crate::distribution::DEFAULT_MEDIAN_RATIO;
use crate::json_file::Node;
use crate::{Distribution, Number, Warning, WorkloadError};

/// Whether a field counts whole things or takes floats, whose fraction is cut off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FieldKind {
    /// `num_turns`, `prefix_num_tokens`, `common_prefix_num_tokens`.
    Count,
    /// `num_tokens`.
    Tokens,
}

const NAMES: &str = "one of \"constant\", \"uniform\", \"lognormal\", \"zipf\", \"poisson\"";
const SIGMA: &str = "a number from 0 (the standard deviation of the logarithm)";
const RATIO: &str = "a number above 0 and below 1";
const FLOAT_HINT: &str = "only num_tokens fields take floats; write it without a decimal point";

/// Reads and checks one distribution.
pub(super) fn distribution(
    node: &Node,
    kind: FieldKind,
    warnings: &mut Vec<Warning>,
) -> Result<Distribution, WorkloadError> {
    if node.value().and_then(Value::as_object).is_none() {
        return Err(
            node.refuse("a distribution, such as {\"distribution\": \"constant\", \"value\": 4}")
        );
    }
    let name = node.key("distribution");
    let (parsed, known): (_, &[&str]) = match name.string(NAMES)? {
        "constant" => (constant(&node.key("value"), kind)?, &["distribution", "value"]),
        "uniform" => (uniform(node, kind)?, &["distribution", "min", "max"]),
        "zipf" => (zipf(node)?, &["distribution", "alpha", "max"]),
        "poisson" => (poisson(node)?, &["distribution", "alpha", "max"]),
        "lognormal" => (
            lognormal(node, warnings)?,
            &["distribution", "average", "median_ratio", "mean", "sigma", "max"],
        ),
        _ => return Err(name.refuse(NAMES)),
    };
    node.unknown_keys(known, warnings);
    Ok(parsed)
}

fn constant(node: &Node, kind: FieldKind) -> Result<Distribution, WorkloadError> {
    match (node.value().and_then(Number::of), kind) {
        (Some(value @ Number::Int(_)), _) | (Some(value), FieldKind::Tokens) => {
            Ok(Distribution::Constant(value))
        }
        (Some(Number::Float(_)), FieldKind::Count) => {
            Err(node.refuse_with_hint("a whole number", Some(FLOAT_HINT)))
        }
        (None, FieldKind::Count) => Err(node.refuse("a whole number")),
        (None, FieldKind::Tokens) => Err(node.refuse("a number")),
    }
}

fn uniform(node: &Node, kind: FieldKind) -> Result<Distribution, WorkloadError> {
    let (min_node, max_node) = (node.key("min"), node.key("max"));
    let min = uniform_bound(&min_node, kind)?;
    let max = uniform_bound(&max_node, kind)?;
    if min.as_f64() <= 0.0 {
        return Err(min_node.refuse("a number above 0"));
    }
    if max.as_f64() < min.as_f64() {
        return Err(max_node.refuse(&format!("a number from {min} (the value of min)")));
    }
    Ok(match (min, max) {
        (Number::Int(min), Number::Int(max)) => Distribution::UniformInt { min, max },
        (min, max) => Distribution::UniformFloat { min, max },
    })
}

fn uniform_bound(node: &Node, kind: FieldKind) -> Result<Number, WorkloadError> {
    let allowed = match kind {
        FieldKind::Count => "a whole number above 0",
        FieldKind::Tokens => "a number above 0",
    };
    match (number(node, allowed)?, kind) {
        (Number::Float(_), FieldKind::Count) => {
            Err(node.refuse_with_hint(allowed, Some(FLOAT_HINT)))
        }
        (bound, _) => Ok(bound),
    }
}

fn zipf(node: &Node) -> Result<Distribution, WorkloadError> {
    const ALLOWED: &str = "a number above 1, at most 1024";
    let alpha_node = node.key("alpha");
    let alpha = number(&alpha_node, ALLOWED)?;
    if alpha.as_f64() <= 1.0 || alpha.as_f64() > 1024.0 {
        return Err(alpha_node.refuse(ALLOWED));
    }
    Ok(Distribution::Zipf { alpha, max: cap(&node.key("max"))? })
}

fn poisson(node: &Node) -> Result<Distribution, WorkloadError> {
    const ALLOWED: &str = "a number from 0 to 9.2e18";
    let alpha_node = node.key("alpha");
    let alpha = number(&alpha_node, ALLOWED)?;
    if !(0.0..=9.2e18).contains(&alpha.as_f64()) {
        return Err(alpha_node.refuse(ALLOWED));
    }
    Ok(Distribution::Poisson { alpha, max: cap(&node.key("max"))? })
}

fn lognormal(node: &Node, warnings: &mut Vec<Warning>) -> Result<Distribution, WorkloadError> {
    let max = cap(&node.key("max"))?;
    if node.key("average").not_null().is_some() {
        return lognormal_average(node, max, warnings);
    }
    let (mean_node, sigma_node) = (node.key("mean"), node.key("sigma"));
    if mean_node.not_null().is_none() && sigma_node.not_null().is_none() {
        return Err(node
            .key("average")
            .refuse("a number from 1, or \"mean\" and \"sigma\" in its place"));
    }
    let mean = number(&mean_node, "a number above 0 (the mean of the logarithm)")?;
    if mean.as_f64() <= 0.0 {
        return Err(mean_node.refuse("a number above 0 (the mean of the logarithm)"));
    }
    let sigma = number(&sigma_node, SIGMA)?;
    if sigma.as_f64() < 0.0 {
        return Err(sigma_node.refuse(SIGMA));
    }
    if node.key("median_ratio").not_null().is_some() {
        warnings.push(node.key("median_ratio").remark("has no effect without \"average\""));
    }
    Ok(Distribution::Lognormal { mean, sigma, max })
}

fn lognormal_average(
    node: &Node,
    max: Option<i64>,
    warnings: &mut Vec<Warning>,
) -> Result<Distribution, WorkloadError> {
    let average_node = node.key("average");
    let average = number(&average_node, "a number from 1")?;
    if average.as_f64() < 1.0 {
        return Err(average_node.refuse("a number from 1"));
    }
    let ratio_node = node.key("median_ratio");
    let median_ratio = match ratio_node.not_null() {
        None => Number::Float(DEFAULT_MEDIAN_RATIO),
        Some(_) => number(&ratio_node, RATIO)?,
    };
    if median_ratio.as_f64() <= 0.0 || median_ratio.as_f64() >= 1.0 {
        return Err(ratio_node.refuse(RATIO));
    }
    for ignored in ["mean", "sigma"] {
        if node.key(ignored).not_null().is_some() {
            warnings.push(node.key(ignored).remark("has no effect beside \"average\""));
        }
    }
    Ok(Distribution::LognormalAverage { average, median_ratio, max })
}

fn number(node: &Node, allowed: &str) -> Result<Number, WorkloadError> {
    node.value().and_then(Number::of).ok_or_else(|| node.refuse(allowed))
}

fn cap(node: &Node) -> Result<Option<i64>, WorkloadError> {
    let Some(value) = node.not_null() else { return Ok(None) };
    value
        .as_i64()
        .filter(|&max| max >= 0)
        .map(Some)
        .ok_or_else(|| node.refuse("a whole number from 0 (0: no cap) or null"))
}
