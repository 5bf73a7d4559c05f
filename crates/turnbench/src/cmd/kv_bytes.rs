use std::path::Path;

use turnbench_kvcache::KvShape;

use super::output;
use crate::args::KvBytesArgs;
use crate::exit::Exit;

/// Bytes that the model keeps for a token: as told, or from its config.json, which is looked for in the
/// `directory` of its tokenizer. `None` where nothing tells.
pub(crate) fn kv_bytes_per_token(
    args: &KvBytesArgs,
    directory: Option<&Path>,
) -> Result<Option<f64>, Exit> {
    if args.kv_bytes_per_token.is_some() {
        return Ok(args.kv_bytes_per_token);
    }
    if let Some(path) = &args.model_config {
        return of_config(path, args).map(Some).map_err(|why| {
            Exit::usage(format!(
                "--model-config is {}: {why}\nhint: it must be the config.json of a model, or \
                 --kv-bytes-per-token tells the bytes",
                path.display()
            ))
        });
    }
    let path = directory.map(|directory| directory.join("config.json"));
    let Some(path) = path.filter(|path| path.is_file()) else { return Ok(None) };
    match of_config(&path, args) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) => {
            output::warn(format!(
                "{}: {why}; sizes are in tokens\nhint: --kv-bytes-per-token tells the bytes",
                path.display()
            ));
            Ok(None)
        }
    }
}

fn of_config(path: &Path, args: &KvBytesArgs) -> Result<f64, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let config = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let shape = KvShape::of_config(&config, args.kv_dtype).map_err(|error| error.to_string())?;
    Ok(shape.bytes_per_token())
}
